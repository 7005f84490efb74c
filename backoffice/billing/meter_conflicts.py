"""Two editors, one meter or one assignment: what the other one saved, beside what is in my form."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from ..audit.models import AuditEvent
from ..extensions import db
from .meter_wording import MeterWording


@dataclass(frozen=True)
class Disagreement:
    """One fact in which what they saved and my form differ; `taken`: the form now holds theirs."""

    label: str
    theirs: str
    mine: str
    taken: bool


@dataclass(frozen=True)
class Conflict:
    """What the form shows above the fields after somebody else was faster."""

    who: str
    at: datetime | None
    disagreements: tuple[Disagreement, ...]


def conflict_of(
    base: Mapping[str, str],
    theirs: Mapping[str, str],
    mine: Mapping[str, str],
    newest: AuditEvent | None,
    write: Callable[[str, str], str] = lambda _name, value: value,
) -> tuple[dict[str, str], Conflict]:
    """What the form holds now, each fact that I had not touched being theirs; and where the two differ.

    `base` is what editing started from, `newest` the last thing that happened to the record.
    """
    wording = MeterWording(db.session(), people=[newest.actor] if newest else [])
    untouched = {name for name in mine if mine[name] == base.get(name)}
    told = tuple(
        Disagreement(
            wording.label(name),
            write(name, theirs[name]),
            write(name, mine[name]),
            name in untouched,
        )
        for name in mine
        if theirs[name] != mine[name]
    )
    merged = {name: theirs[name] if name in untouched else mine[name] for name in mine}
    who = wording.actor(newest.actor) if newest else ""
    return merged, Conflict(who, newest.at if newest else None, told)
