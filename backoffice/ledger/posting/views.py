"""Screens of the tie-out: control accounts beside their sub-ledgers, and posting what is open."""

from collections.abc import Iterator, Sequence
from typing import Any

from flask import Response, url_for
from sqlalchemy import Integer, Numeric, Select, Text, select

from ... import lists
from ...app.extensions import db
from ...base import N_, counted
from ...lists import Column, List, computed_rows
from ...runs import actions as runs
from ...security.permissions import requires
from ...web.claims import Claim
from ...web.idempotency import new_key
from ..reports.views import bp
from ..rules import ROLES
from .queries import open_postings
from .runs import POST
from .tie_out import CONTROLS, HELD, NOT_POSTED, TOTAL, PageLink, TieOut, tie_out

TITLE = N_("Tie-out")

_SHOWN: dict[str, tuple[str, PageLink | None]] = {
    f"{control.role}/{name}": (title, page)
    for control in CONTROLS
    for name, title, page in (
        (HELD, N_("Balance of the accounts"), ("accounts.index", {"role": control.role})),
        (NOT_POSTED, N_("Not posted yet"), None),
        *((str(place), term.title, term.page) for place, term in enumerate(control.terms)),
        (TOTAL, N_("Total"), None),
    )
}
"""Line of the tie-out → its title, and the page that lists what it adds up, if there is one."""

_WORDS = {line: title for line, (title, _page) in _SHOWN.items()}


def _link(row: Any) -> str | None:
    _title, page = _SHOWN[row.line]
    return None if page is None else url_for(page[0], **page[1])


_KINDS = {
    "id": Integer(), "role": Text(), "line": Text(), "ledger": Numeric(), "beneath": Numeric(), "difference": Numeric(),
}  # fmt: skip


def _rows(tied: Sequence[TieOut]) -> Iterator[dict[str, Any]]:
    """The balance of the accounts, what is not posted, every term, and both totals with their difference."""
    for one in tied:
        role = one.control.role
        yield {"role": role, "line": f"{role}/{HELD}", "ledger": one.held}
        yield {"role": role, "line": f"{role}/{NOT_POSTED}", "ledger": one.not_posted}
        for place, amount in enumerate(one.terms):
            yield {"role": role, "line": f"{role}/{place}", "beneath": amount}
        both = {"ledger": one.ledger, "beneath": one.beneath, "difference": one.difference}
        yield {"role": role, "line": f"{role}/{TOTAL}", **both}


def _listing() -> List:
    """Every line of every control account."""
    numbered = ({"id": id_, **row} for id_, row in enumerate(_rows(tie_out(db.session()))))
    each = computed_rows(_KINDS, numbered)

    def rows(_user: Any) -> Select[Any]:
        return select().select_from(each)

    def money(name: str, label: str, classes: str = "") -> Column:
        return Column(name, label, each.c[name], kind="money", is_sortable=False, classes=classes)

    return List(
        "tie_out",
        TITLE,
        "ledger.tie_out",
        export="ledger.export_tie_out",
        rows=rows,
        key=each.c.id,
        columns=(
            Column("role", N_("Control account"), each.c.role, words=ROLES, classes="cell-name", is_sortable=False),
            Column("line", N_("Term"), each.c.line, words=_WORDS, link=_link, classes="cell-wide", is_sortable=False),
            money("ledger", N_("Ledger"), "cell-detail"),
            money("beneath", N_("Sub-ledger"), "cell-detail"),
            money("difference", N_("Difference"), "cell-total cell-lead"),
            Column("id", N_("Number"), each.c.id, kind="number", is_shown=False),
        ),
        default_sort="id",
        is_computed=True,
        counted=counted("%(num)s line", "%(num)s lines"),
        classes="tie-out-table compact",
    )  # fmt: skip


@bp.get("/tie-out", endpoint="tie_out")
@requires("ledger.read")
def show() -> Response:
    """The tie-out of every control account, and how much is not posted yet."""
    waiting = open_postings(db.session())
    keys = {"idempotency_key": new_key(), "preview_key": new_key()}
    return lists.show(_listing(), "ledger/tie_out.html", waiting=waiting, **keys)


lists.add_export(bp, "/tie-out/export.<flavour>", "export_tie_out", "ledger.read", _listing)


@bp.post("/tie-out/post", endpoint="post_open")
@requires("ledger.write")
def post_open() -> Response:
    """Start a run that posts what is open of every document."""
    return _request_run("ledger.post_open")


@bp.post("/tie-out/preview", endpoint="preview_open")
@requires("ledger.write")
def preview_open() -> Response:
    """Start a dry run that lists what is open, document by document."""
    return _request_run("ledger.preview_open", dry_run=True)


def _request_run(action: str, **how: Any) -> Response:
    claim = Claim(action)
    number = runs.request_or_join(db.session(), POST.name, {}, is_paced=False, **how)
    return claim.complete(url_for("runs.record", run_id=number))


PAGES = ((TITLE, "ledger.tie_out"),)
