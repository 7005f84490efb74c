"""Which owners a heal must skip: those with a fact beneath them that differs from the audit trail.

Only the few owners that a heal would write are checked. Their own facts are compared with the trail, those of what
they build on, and so on down. A row that was moved to another owner without the trail is beneath
both owners: the one in the row, and the one in the trail.

Rows that were written right under their owner's lock (a running balance, added at once) are evidence as well: where
they no longer follow from each other, only a person may correct the owner, with a reason.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Column,
    Connection,
    Text,
    any_,
    bindparam,
    case,
    cast,
    func,
    literal,
    or_,
    select,
)

from ...app.domain import declared
from ...audit.chain.records import EVENTS
from ...audit.facts import CHANGED, Facts, Forgery, facts_by_table
from ...base import N_, table_of
from ...figures.computing.dependencies import lower_bundles, owners_above, owners_beneath
from ...figures.computing.registry import Bundle, Registry, registry
from ...figures.computing.statements import Statement, drifted
from ...figures.declaring.declaration import Source
from ...figures.keeping.recomputing import wrong_in_locked
from ...figures.models import Correction

CORRECTIONS = table_of(Correction)

Held = Mapping[int, Sequence[Forgery]]
"""Owner → the facts beneath it that differ from the trail."""

HELD = N_(
    "Facts beneath it differ from the audit trail, so decide about those first: under Drift, or with "
    "backoffice audit verify-facts"
)
"""Why an owner with a fact that differs from the trail is skipped."""


BROKEN = N_(
    "Its rows do not follow from each other any more, though each was right when it was written. Look at what was "
    "written past the app; whoever knows that heals it with a reason"
)
"""Why an owner is skipped although every fact agrees with the trail."""

LOCKED = N_(
    "It is wrong in a closed month, which nothing rewrites: accept the adjustment that is proposed, or reopen the month"
)
"""Why an owner with a wrong row of locked days is skipped."""


@dataclass(frozen=True)
class Hold:
    """A domain's restriction on a figure: `of` returns which of these owners no heal may correct, and `why`."""

    figure: str
    why: str
    of: Callable[[Connection, Collection[int]], set[int]]


def doubted(connection: Connection, bundle: Bundle, owners: Collection[int]) -> dict[int, str]:
    """The owners, of these, that no heal may correct, each with the sentence that explains why."""
    names = {figure.name for figure in bundle.figures}
    held_by = [hold for hold in declared().holds if hold.figure in names] if owners else []
    found = {owner: hold.why for hold in held_by for owner in hold.of(connection, owners)}
    return found | dict.fromkeys(held(connection, bundle, owners), HELD)


def untouched(connection: Connection, bundle: Bundle, owners: Collection[int]) -> dict[int, str]:
    """As `doubted`, before anything is written, plus the owners with a wrong row of locked days."""
    wrong = set[int]()
    for figure in bundle.figures if owners else ():
        if figure.locked is not None:
            asked = wrong_in_locked(registry, figure)
            wrong.update(asked.run(connection, owners=sorted(owners)).scalars())
    return dict.fromkeys(wrong, LOCKED) | doubted(connection, bundle, owners)


def leave_alone(connection: Connection, bundle: Bundle, corrections: Sequence[int]) -> set[int]:
    """The owners that these corrections have derived from doubtful facts; see `Registry.held`."""
    if not corrections:
        return set()
    own = CORRECTIONS.c
    mine = own.id == any_(literal(list(corrections), ARRAY(BigInteger)))
    is_decided = or_(own.cause != "heal", own.reason != "")
    reported = select(own.owner, func.bool_and(is_decided)).where(mine).group_by(own.owner)
    decided = {row.owner: bool(row[1]) for row in connection.execute(reported)}
    undecided = {owner for owner, is_one in decided.items() if not is_one}
    return set(doubted(connection, bundle, set(decided))) | _broken(connection, bundle, undecided)


def why_left(connection: Connection, bundle: Bundle, owners: Collection[int]) -> Mapping[int, str]:
    """Skipped owner → the sentence that explains why."""
    why = untouched(connection, bundle, owners)
    return {owner: why.get(owner, BROKEN) for owner in owners}


def _broken(connection: Connection, bundle: Bundle, owners: Collection[int]) -> set[int]:
    """The owners, of these that a heal would correct, with rows that do not follow from each other."""
    if not owners:
        return set()
    if _is_evidence(bundle):
        return set(owners)
    found = set[int]()
    for other in registry.bundles:
        if _is_evidence(other) and other.owner_table is bundle.owner_table:
            wrong = drifted(registry, other.figures[0]).run(connection, owners=sorted(owners))
            found.update(row["owner"] for row in wrong.mappings())
    return found


def _is_evidence(bundle: Bundle) -> bool:
    """Whether its rows run, and are written with their right values under the owner's lock."""
    figure = bundle.figures[0]
    return figure.along is not None and figure.at_once


def held(
    connection: Connection, bundle: Bundle, owners: Collection[int], figures: Registry = registry
) -> Held:
    """The owners, of these of a bundle, with a differing fact that their figures are derived from."""
    found: dict[int, dict[tuple[str, int], Forgery]] = defaultdict(dict)
    if not owners:
        return {}
    for source in bundle.sources:
        facts = facts_by_table().get(source.table.name)
        if facts is not None:
            for owner, forgery in _direct(connection, facts, source, owners):
                found[owner][forgery.table, forgery.id] = forgery
    for lower in lower_bundles(figures, bundle):
        beneath = owners_beneath(connection, figures, bundle, lower, owners)
        for below, forgeries in held(connection, lower, beneath, figures).items():
            above = owners_above(connection, figures, bundle, lower, [below])
            for owner in above.intersection(owners):
                found[owner].update({(f.table, f.id): f for f in forgeries})
    return {owner: list(forgeries.values()) for owner, forgeries in found.items()}


def _direct(
    connection: Connection, facts: Facts, source: Source, owners: Collection[int]
) -> Iterator[tuple[int, Forgery]]:
    """The rows of one source that differ in columns that the figures read, each with the owner it is beneath."""
    led = _led(connection, facts, source, owners)
    read = {c.key for c in facts.columns} & source.columns
    if source.through is None:
        read |= {source.owner.key}
    for forgery in facts.forged(connection, led):
        if forgery.kind == CHANGED and not forgery.columns & read:
            continue
        mine = led[forgery.id] & set(owners)
        if source.through is None:
            mine &= _sides(forgery, source)
        for owner in mine:
            yield owner, forgery


def _sides(forgery: Forgery, source: Source) -> set[int]:
    """The owner in the row, and the owner in the trail."""
    name = source.owner.key
    return {side[name] for side in (forgery.whole, forgery.trail) if side.get(name) is not None}


def owners_of(
    connection: Connection, forgery: Forgery, figures: Registry = registry
) -> Mapping[str, set[int]]:
    """Bundle → the owners with figures that read the row, by its present values or by those of the trail."""
    found: dict[str, set[int]] = defaultdict(set)
    for bundle in figures.bundles:
        for source in bundle.sources:
            if source.table.name != forgery.table:
                continue
            if source.through is None:
                found[bundle.name] |= _sides(forgery, source)
            else:
                led = select(source.owner).where(source.through == forgery.id)
                found[bundle.name] |= set(connection.scalars(led))
    return {name: owners - {None} for name, owners in found.items()}


def _led(
    connection: Connection, facts: Facts, source: Source, owners: Collection[int]
) -> Mapping[int, set[int]]:
    """The source's rows that refer to these owners, now or once by the trail, each with the owners."""
    if source.owner is facts.key:
        return {owner: {owner} for owner in owners}
    led: dict[int, set[int]] = defaultdict(set)
    given = sorted(set(owners))
    for row, owner in _standing(source).rows(connection, owners=given):
        led[row].add(owner)
    if source.through is None:
        once = _once(facts, source.owner)
        for row, owner in once.rows(connection, owners=[str(owner) for owner in given]):
            led[row].add(int(owner))
    return led


@cache
def _standing(source: Source) -> Statement:
    """Present rows with their owner; for a source reached through another table, with the owner found there."""
    key: Column[Any] = next(iter(source.table.primary_key))
    row = key if source.through is None else source.through
    mine = source.owner == any_(bindparam("owners", type_=ARRAY(BigInteger)))
    return Statement(select(row, source.owner).where(mine, row.is_not(None)).distinct())


@cache
def _once(facts: Facts, owner: Column[Any]) -> Statement:
    """Rows that, by an event, once came to one of these owners; found through an index."""
    name = EVENTS.c.after[owner.key].astext
    number = case(
        (EVENTS.c.row_id.op("~")(literal("^[0-9]{1,18}$", Text)), cast(EVENTS.c.row_id, BigInteger))
    )
    mine = name == any_(bindparam("owners", type_=ARRAY(Text)))
    found = select(number, name).where(EVENTS.c.table_name == facts.name, mine, number.is_not(None))
    return Statement(found.distinct())
