"""The list of the kept reports."""

from flask import url_for
from sqlalchemy import (
    ARRAY,
    ColumnElement,
    Numeric,
    Text,
    any_,
    bindparam,
    case,
    cast,
    func,
    select,
)

from ..app.extensions import db
from ..base import N_, counted
from ..drift import figure_status
from ..lists import Choice, Column, List, Moments
from ..runs.listing import FigureTitles
from .models import Reconciliation

_WRONG, _DOUBTED, _RIGHT = "wrong", "doubted", "right"
_STATES = {_WRONG: N_("Differences"), _DOUBTED: N_("In doubt"), _RIGHT: N_("Ties out")}
"""The states of a report; one that tied out is in doubt while its figure is (`drift.figure_status`)."""


def _doubted() -> list[str]:
    return sorted(figure_status.doubted(db.session()))


_state: ColumnElement[str] = case(
    (Reconciliation.drifted > 0, _WRONG),
    (
        Reconciliation.figure
        == any_(bindparam("doubted", callable_=_doubted, type_=ARRAY(Text), unique=True)),
        _DOUBTED,
    ),
    else_=_RIGHT,
)

_KILOBYTES = func.ceil(cast(Reconciliation.size, Numeric) / 1024)

KEPT = List(
    "reconciliations",
    N_("Kept reports"),
    "reconciliation.kept",
    export="reconciliation.export_kept",
    rows=lambda _user: (
        select().select_from(Reconciliation).where(Reconciliation.finished_at.is_not(None))
    ),
    key=Reconciliation.id,
    also={"run_id": Reconciliation.run_id},
    columns=(
        Column(
            "created_at",
            N_("When"),
            Reconciliation.created_at,
            kind="moment",
            link=lambda row: url_for("reconciliation.kept_report", report_id=row.key),
        ),
        Column("figure", N_("Figure"), Reconciliation.figure, words=FigureTitles()),
        Column("rows", N_("Lines"), Reconciliation.rows, kind="number"),
        Column(
            "state",
            N_("Status"),
            _state,
            words=_STATES,
            tones={_WRONG: "bad", _DOUBTED: "warning", _RIGHT: "good"},
            is_sortable=False,
        ),
        Column("drifted", N_("Wrong"), Reconciliation.drifted, kind="number"),
        Column("size", N_("Kilobytes"), _KILOBYTES, kind="number"),
        Column("sha256", N_("Checksum (SHA-256)"), Reconciliation.sha256, is_shown=False),
    ),
    filters=(
        Choice("figure", N_("Figure"), FigureTitles(lambda name: Reconciliation.figure == name)),
        Choice.of("state", N_("Status"), _state, _STATES),
        Moments("since", "until", N_("From"), N_("to"), Reconciliation.created_at),
    ),
    default_sort="-created_at",
    counted=counted("%(num)s report", "%(num)s reports"),
    nothing_yet=(
        N_("No reports yet"),
        N_("Every night a report of each figure is made, and kept for 90 days."),
    ),
)
