"""The list of the reports that are kept."""

from flask import url_for
from sqlalchemy import Numeric, cast, func, select

from ..base import N_, counted
from ..lists import Choice, Column, List, Moments
from ..runs.listing import FigureTitles
from .models import Reconciliation

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
            Reconciliation.drifted > 0,
            words={True: N_("Differences"), False: N_("Ties out")},
            tones={True: "bad", False: "good"},
            is_sortable=False,
        ),
        Column("drifted", N_("Wrong"), Reconciliation.drifted, kind="number"),
        Column("size", N_("Kilobytes"), _KILOBYTES, kind="number"),
        Column("sha256", N_("Checksum (SHA-256)"), Reconciliation.sha256, is_shown=False),
    ),
    filters=(
        Choice("figure", N_("Figure"), FigureTitles(lambda name: Reconciliation.figure == name)),
        Choice(
            "state",
            N_("Status"),
            {
                "wrong": (N_("Differences"), Reconciliation.drifted > 0),
                "right": (N_("Ties out"), Reconciliation.drifted == 0),
            },
        ),
        Moments("since", "until", N_("From"), N_("to"), Reconciliation.created_at),
    ),
    default_sort="-created_at",
    counted=counted("%(num)s report", "%(num)s reports"),
    nothing_yet=(
        N_("No reports yet"),
        N_("Every night a report of each figure is made, and kept for 90 days."),
    ),
)
