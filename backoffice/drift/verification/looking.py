"""Pages verify what they show: these owners are compared now, and their findings are brought in step.

So a page never shows as wrong what is right, and no finding stays open that a user's save has
resolved. Where findings cannot be recorded (a read-only copy) the page shows the differences all the same.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

import structlog
from sqlalchemy import (
    ARRAY,
    BigInteger,
    ColumnElement,
    Connection,
    any_,
    func,
    literal,
    or_,
    select,
    true,
)
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from ...app.extensions import db
from ...audit.facts import Facts
from ...database.snapshots import snapshot
from ...figures import Check, Figure, Finding, registry
from ...figures.computing.definitions import differing
from ...figures.computing.registry import Bundle
from ...figures.computing.relations import OWNERS
from ...figures.computing.statements import suspects
from ...figures.declaring.checks import Compared, Part
from ...figures.verifying.findings import findings
from .. import figure_status
from ..facts.findings import as_finding, facts_named
from ..facts.findings import settle as settle_facts
from ..findings import as_item, close_unseen, noted_owners, record
from ..recording import FINDINGS
from . import checks
from .chunks import Seen, seen_in, settle, still_wrong

log = structlog.get_logger("backoffice.looking")

PATIENCE = "200ms"
"""How long a page waits for the lock to record its findings, while a run records the same ones."""

Owners = Mapping[Figure, Sequence[int]]
"""The owners of the figures that a page shows."""


def look(owners: Owners) -> list[Finding]:
    """The drift of these owners' figures now; their findings are brought in step with it."""
    asked = _by_bundle(owners)
    if not asked:
        return []
    with snapshot(db.engine) as connection:
        apart = differing(connection, registry)  # of these this process knows no definition
        asked = {bundle: ids for bundle, ids in asked.items() if bundle.name not in apart}
        if not asked:
            return []
        at, known = _known(connection, asked)
        seen = {bundle: _compared(connection, bundle, ids, at) for bundle, ids in asked.items()}
    found = [finding for each in seen.values() for finding in each.found]
    if {_as_known(finding) for finding in found} != known:
        _write_down(asked, seen)
    return [finding for finding in found if finding.figure in owners]


def look_at_finding(session: Session, finding_id: int) -> None:
    """Compare the row of an open finding now, be it a figure's, a fact's or a date's, and update the finding."""
    opened = select(FINDINGS).where(FINDINGS.c.id == finding_id, FINDINGS.c.healed_at.is_(None))
    finding = session.execute(opened).one_or_none()
    if finding is None or finding.figure.startswith(checks.PREFIX):
        return
    facts = facts_named(finding.figure)
    if facts is not None:
        _look_at_fact(facts, finding)
    elif figure := next((f for f in registry.figures if f.name == finding.figure), None):
        _look_at_owner(registry.bundle_of(figure), finding.owner)


def _look_at_fact(facts: Facts, finding: Any) -> None:
    row_id = int(finding.key["id"])
    with snapshot(db.engine) as connection:
        found = [as_finding(forgery) for forgery in facts.forged(connection, [row_id])]
    seen = [(one["stored"], one["expected"]) for one in found]
    if seen != [(finding.stored, finding.expected)]:
        _recorded(lambda connection: settle_facts(connection, facts, [row_id]), len(found))


def _look_at_owner(bundle: Bundle, owner: int) -> None:
    """As `look`, for one owner of a bundle, which may be missing."""
    payload = {"owners": [owner]}
    with snapshot(db.engine) as connection:
        if bundle.name in differing(connection, registry):
            return
        _at, known = _known(connection, {bundle: [owner]})
        seen = seen_in(connection, bundle, payload, {})
    found = [*seen.found, *seen.orphans]

    def work(connection: Connection) -> None:
        settle(connection, bundle, payload, seen, None)
        checks.settle_open(connection)

    if {_as_known(finding) for finding in found} != known:
        _recorded(work, len(found))


def look_at_checks() -> None:
    """Compare every check again that has an open finding."""
    if checks.is_any_open(db.session()):
        _recorded(checks.settle_open)


def look_at_check(one: Check) -> tuple[Compared, Sequence[Part]]:
    """Compare a check now, with the parts in which its sides differ, and bring its finding in step."""
    with snapshot(db.engine) as connection:
        seen, parts = one.compare(connection), one.differing(connection)
    if not seen.holds or checks.is_any_open(db.session()):
        _recorded(lambda connection: checks.settle(connection, one, seen), int(not seen.holds))
    return seen, parts


def _recorded(work: Callable[[Connection], object], wrong: int = 0) -> None:
    """Record by `work` what a page found; where that is not possible, remember at least how many rows are `wrong`."""
    try:
        with db.engine.begin() as connection:
            connection.execute(select(func.set_config("lock_timeout", PATIENCE, True)))
            work(connection)
    except SQLAlchemyError as error:
        log.warning("what a page saw could not be recorded", error=type(error).__name__)
        if wrong:
            figure_status.seen(wrong)
    figure_status.forget()


def _by_bundle(owners: Owners) -> dict[Bundle, list[int]]:
    """The owners by bundle, lower bundles first."""
    wanted: dict[Bundle, list[int]] = {}
    for bundle in registry.bundles_of([figure for figure, ids in owners.items() if ids]):
        ids = {owner for figure in bundle.figures for owner in owners.get(figure, ())}
        wanted[bundle] = sorted(ids)
    return wanted


def _compared(connection: Connection, bundle: Bundle, ids: list[int], at: datetime) -> Seen:
    suspected = sorted(suspects(registry, bundle, OWNERS).run(connection, owners=ids).scalars())
    if not suspected:
        return Seen((), set(), at)
    found = findings(connection, registry, bundle, suspected)
    return Seen(found, noted_owners(connection, bundle, suspected), at)


def _known(
    connection: Connection, asked: Mapping[Bundle, list[int]]
) -> tuple[datetime, set[tuple[Any, ...]]]:
    """When the snapshot was taken, and the open findings of these owners, each as `_as_known` returns it."""
    opened = (
        select(FINDINGS)
        .where(FINDINGS.c.healed_at.is_(None), or_(*(_of(b, ids) for b, ids in asked.items())))
        .subquery()
    )
    moment = select(func.now().label("at")).subquery()
    rows = connection.execute(
        select(moment, opened).join_from(moment, opened, true(), isouter=True)
    )
    reported = rows.all()
    at: datetime = reported[0].at
    return at, {
        (
            row.figure,
            row.owner,
            _in_order(row.key),
            row.kind,
            _side(row.stored),
            _side(row.expected),
        )
        for row in reported
        if row.figure is not None
    }


def _of(bundle: Bundle, ids: Sequence[int]) -> ColumnElement[bool]:
    names = [figure.name for figure in bundle.figures]
    return FINDINGS.c.figure.in_(names) & (
        FINDINGS.c.owner == any_(literal(list(ids), ARRAY(BigInteger)))
    )


def _as_known(finding: Finding) -> tuple[Any, ...]:
    """A finding in the form in which its stored row is compared with it."""
    item = as_item(finding)
    named = (finding.figure.name, finding.owner, _in_order(item["key"]), finding.kind)
    return (*named, _side(item["before"]), _side(item["after"]))


def _side(values: Mapping[str, Any] | None) -> tuple[Any, ...] | None:
    return None if values is None else _in_order(values)


def _in_order(values: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(sorted(values.items()))


def _write_down(asked: Mapping[Bundle, list[int]], seen: Mapping[Bundle, Seen]) -> None:
    """Record the drift that is still there, and close the findings that were not confirmed."""

    def work(connection: Connection) -> None:
        for bundle, each in seen.items():
            still = still_wrong(connection, bundle, each.found)
            wrong = [finding for finding in each.found if finding.owner in still]
            record(connection, wrong, each.noted, None)
            owned = FINDINGS.c.owner == any_(literal(asked[bundle], ARRAY(BigInteger)))
            close_unseen(connection, [bundle], owned, each.at)
        checks.settle_open(connection)

    _recorded(work, sum(len(each.found) for each in seen.values()))
