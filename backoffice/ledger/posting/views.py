"""Screens of the tie-out: control accounts beside their sub-ledgers, and posting what is open."""

from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Any

from flask import Response, url_for
from flask_babel import gettext as _
from sqlalchemy import Numeric, Text

from ... import lists
from ...app.extensions import db
from ...base import N_, counted
from ...lists import Column, List, computed_list
from ...runs import actions as runs
from ...security.permissions import requires
from ...web.claims import Claim
from ...web.idempotency import new_key
from ..reports.views import bp
from ..rules import ROLES
from .queries import open_postings
from .runs import POST
from .tie_out import PageLink, TieOut, tie_out

TITLE = N_("Tie-out")

_COLUMNS = (
    Column("role", N_("Control account"), Text(), words=ROLES, classes="cell-name"),
    Column("line", N_("Term"), Text(), link=lambda row: row.href, classes="cell-wide"),
    Column("ledger", N_("Ledger"), Numeric(), kind="money", classes="cell-detail"),
    Column("beneath", N_("Sub-ledger"), Numeric(), kind="money", classes="cell-detail"),
    Column("difference", N_("Difference"), Numeric(), kind="money", classes="cell-total cell-lead"),
)


def _rows(tied: Sequence[TieOut]) -> Iterator[dict[str, Any]]:
    """The balance of the accounts, what is not posted, every term, and both totals with their difference."""
    for one in tied:
        accounts = ("accounts.index", {"role": one.control.role})
        yield _row(one, _("Balance of the accounts"), accounts, ledger=one.held)
        yield _row(one, _("Not posted yet"), None, ledger=one.not_posted)
        for term, amount in zip(one.control.terms, one.terms, strict=True):
            yield _row(one, _(term.title), term.page, beneath=amount)
        both = {"ledger": one.ledger, "beneath": one.beneath}
        yield _row(one, _("Total"), None, **both, difference=one.difference)


def _row(one: TieOut, title: str, page: PageLink | None, **amounts: Decimal) -> dict[str, Any]:
    href = None if page is None else url_for(page[0], **page[1])
    return {"role": one.control.role, "line": title, "href": href, **amounts}


def _listing() -> List:
    """Every line of every control account."""
    return computed_list(
        "tie_out", TITLE, "ledger.tie_out", _COLUMNS, _rows(tie_out(db.session())), {"href": Text()},
        export="ledger.export_tie_out", counted=counted("%(num)s line", "%(num)s lines"),
        classes="tie-out-table compact",
    )  # fmt: skip


def _beside() -> dict[str, Any]:
    """How much is not posted yet, and the keys of the buttons that post it."""
    keys = {"idempotency_key": new_key(), "preview_key": new_key()}
    return {"waiting": open_postings(db.session()), **keys}


lists.add_list(bp, "/tie-out", "tie_out", "ledger.read", _listing, "ledger/tie_out.html", _beside)


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
