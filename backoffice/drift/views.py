"""Screens of drift: the list of findings, one finding, and the preview of its correction.

Nothing is corrected from here: a preview is a dry run, and its page shows what would change and applies it.
"""

from typing import Any

from flask import Blueprint, Response, abort, flash, request, url_for
from flask_babel import gettext as _
from flask_login import current_user
from werkzeug.datastructures import MultiDict

from .. import lists
from ..app.domain import declared
from ..app.extensions import db
from ..base import N_
from ..base.refusals import Refusal
from ..database.snapshots import snapshot
from ..lists.queries import matching
from ..lists.state import MOST_TICKED, ticked
from ..people.actors import names_of
from ..runs import actions as runs
from ..security.permissions import requires
from ..web import record_links as subjects
from ..web.claims import Claim
from ..web.htmx import render
from ..web.idempotency import new_key
from ..web.safe_next import safe_next
from . import figure_status, present, queries, recalculation, wording
from .facts.deciding import stamp
from .facts.findings import decision_on
from .facts.forms import DecisionForm
from .facts.wording import differences_of
from .listing import findings
from .models import DriftFinding
from .verification import checks

bp = Blueprint("drift", __name__, url_prefix="/health/drift")

MOST_OWNERS = 100_000
"""The most owners in one preview of a correction."""


class TooManyOwners(Refusal):
    """The selection has more records than a preview accepts."""

    sentence = N_(
        "More than %(most)s records match. Narrow the filter, or choose a whole figure and nothing else."
    )


@bp.get("")
@requires("figures.read")
def index() -> Response:
    """The list of findings, largest difference first."""
    said = wording.status_in_words(figure_status.now())
    return lists.show(findings(), "drift/index.html", figure_status=said)


lists.add_export(bp, "/export.<flavour>", "export", "figures.read", findings)


@bp.get("/<int:finding_id>")
@requires("figures.read")
def record(finding_id: int) -> Response:
    """One finding: stored and expected value, its cause, and how often the row was corrected."""
    return page_of(finding_id)


def page_of(
    finding_id: int, form: DecisionForm | None = None, status: int = 200, refused: str = ""
) -> Response:
    """The page of a finding with the row's present values; `form` is one to accept a fact that was refused."""
    finding, called = queries.finding_of(db.session(), finding_id) or abort(404)
    is_open = finding.healed_at is None and present.compare(db.session(), finding)
    place, state = queries.place_of(finding, called), lists.asked(findings())
    previous, following = lists.neighbours(
        db.session(), current_user, state, finding.id, DriftFinding.id.expression
    )
    corrections = queries.corrections_of(db.session(), finding)
    changes = differences_of(db.session(), finding)
    decision = None if changes is None else decision_on(db.session(), finding.id)
    seen = stamp(finding.stored, finding.expected)
    if form is None:
        form = DecisionForm.over(seen)
    elif refused:  # what was typed now applies to what is shown
        form.seen.data = seen
    whom = [c.actor or c.db_user for c in corrections]
    whom += [decision.decided_by] if decision else []
    return render(
        "drift/record.html",
        status=status,
        finding=finding,
        is_open=is_open,
        called=called or f"#{finding.owner}",
        columns=sorted({**(finding.stored or {}), **(finding.expected or {})}),
        record_url=subjects.record_url(finding.figure, place),
        calculation_url=lambda column: subjects.calculation_url(finding.figure, place, column),
        roots=queries.open_at(db.session(), [] if finding.is_root else finding.roots),
        corrections=corrections,
        actors=names_of(db.session, whom),
        changes=changes,
        decision=decision,
        form=form,
        refused=refused,
        check=checks.all_checks().get(finding.figure),
        previous=previous,
        following=following,
        way=state.as_query,
        subjects=subjects,
        wording=wording,
        idempotency_key=new_key(),
    )


@bp.get("/checks/<name>")
@requires("figures.read")
def check(name: str) -> Response:
    """A check, compared now: both sides with their sums, and the parts in which they differ."""
    one = declared().checks.get(name) or abort(404)
    with snapshot(db.engine) as connection:
        seen, parts = one.compare(connection), one.differing(connection)
    if not seen.holds:
        figure_status.shown_wrong(1)
    return render("drift/check.html", check=one, seen=seen, parts=parts, wording=wording)


@bp.post("/preview")
@requires("figures.heal")
def preview() -> Response:
    """Start a dry run that shows what correcting the chosen findings would change."""
    claim = Claim("drift.preview")
    scope = _scope_of(request.form)
    if not scope:
        said = _("Tick rows that are wrong first, or choose all that match.")
        flash(f"{said} {_('About facts you decide one by one, each on its own page.')}", "warning")
        return claim.complete(url_for("drift.index"))
    return claim.complete(_previewed(scope))


@bp.post("/recalculate/<kind>/<int:record_id>")
@requires("figures.heal")
def recalculate(kind: str, record_id: int) -> Response:
    """Start a dry run that recalculates all figures of one record."""
    user = current_user._get_current_object()
    owners = recalculation.owners_of(db.session(), user, kind, record_id)
    if owners is None:
        abort(404)
    claim = Claim(f"drift.recalculate:{kind}:{record_id}")
    if not any(owners.values()):
        flash(_("Nothing is derived of this record, so there is nothing to recalculate."), "info")
        return claim.complete(safe_next(request.form.get("next")) or url_for("drift.index"))
    return claim.complete(_previewed({figure: list(ids) for figure, ids in owners.items()}))


@bp.post("/verify")
@requires("figures.heal")
def verify() -> Response:
    """Verify a figure, or all of them, over all their owners now."""
    name = request.form.get("figure", "")
    if name and name not in wording.figure_titles():
        abort(404)
    claim = Claim("drift.verify")
    return claim.complete(_asked("figures.verify", {"figures": {name: None}} if name else {}))


def _previewed(owners: dict[str, Any]) -> str:
    """The address of the dry run that corrects these owners' figures; unpaced if small, because a user waits."""
    is_small = all(ids is not None and len(ids) <= MOST_TICKED for ids in owners.values())
    return _asked("figures.heal", {"figures": owners}, dry_run=True, is_paced=not is_small)


def _asked(
    kind: str, scope: dict[str, Any], *, dry_run: bool = False, is_paced: bool = True
) -> str:
    """The address of a run that does this: a new one, or a live one that does the same."""
    number = runs.request_or_join(db.session(), kind, scope, dry_run=dry_run, is_paced=is_paced)
    return url_for("runs.record", run_id=number)


def _scope_of(typed: MultiDict[str, str]) -> dict[str, Any]:
    """Figure → owners of the chosen findings, or of all that match.

    Raises TooManyOwners, unless whole figures or everything is selected: then None stands for every owner.
    """
    user, state = current_user._get_current_object(), lists.state_of(findings(), typed)
    rows = matching(user, state)
    if "matching" not in typed:
        rows = findings().rows(user).where(queries.with_ids(ticked(typed)))
    found = queries.owners_in(db.session(), rows)
    if sum(map(len, found.values())) <= MOST_OWNERS:
        return dict(found)
    if set(state.values) <= {"figure"}:
        return dict.fromkeys(found)
    raise TooManyOwners(most=MOST_OWNERS)
