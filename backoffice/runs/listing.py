"""The list of runs."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from flask import url_for
from sqlalchemy import (
    ColumnElement,
    Select,
    Text,
    and_,
    bindparam,
    case,
    cast,
    func,
    literal,
    select,
    true,
)
from sqlalchemy.orm import Session

from ..app.extensions import db
from ..base import N_, counted
from ..base.actor import actor
from ..figures import registry
from ..lists import Choice, Column, List, Moments, Reference
from ..people.actors import name_of
from ..people.models import User
from ..web import record_links as subjects
from .kinds import RunKind, kinds
from .models import DONE_WITH_FAILURES, FAILED, STATUSES, Run, RunChunk
from .queries import is_unmended
from .wording import STATUSES as STATUS_LOOKS
from .wording import scope_in_words

_REQUESTER = literal("user:") + cast(User.id, Text) == Run.requested_by


class ByKind(Mapping[str, Any]):
    """A mapping from kind of run to a value; evaluated late, as kinds are declared after this module is imported."""

    def __init__(self, value: Callable[[RunKind], Any]) -> None:
        self._value = value

    def __getitem__(self, name: str) -> Any:
        """The value for that kind. Raises KeyError."""
        return self._value(kinds()[name])

    def __iter__(self) -> Iterator[str]:
        """The kinds' names, in the order of their titles."""
        return iter(sorted(kinds(), key=lambda name: kinds()[name].title))

    def __len__(self) -> int:
        """The number of kinds."""
        return len(kinds())


@dataclass(frozen=True)
class Housekeeping(Choice):
    """The filter that hides housekeeping runs unless the user asks for them, or for their kind."""

    options: Mapping[str, tuple[str, ColumnElement[bool]]] = field(
        default_factory=lambda: {"1": (N_("Shown too"), true())}
    )

    def conditions(self, values: Mapping[str, str]) -> Iterator[ColumnElement[bool]]:
        """Leave the quiet kinds out."""
        quiet = [name for name, kind in kinds().items() if kind.is_quiet]
        if quiet and not {self.name, "kind"} & set(values):
            yield Run.kind.not_in(quiet)


def runs(_user: Any) -> Select[Any]:
    """Every run, with the user who requested it."""
    return select().select_from(Run).outerjoin(User, _REQUESTER)


def _people(session: Session, user: Any) -> Sequence[tuple[int, str]]:
    """The users offered as requesters: the current user first, then everyone else who has requested a run."""
    asked = select(User.id, User.name).where(_REQUESTER, User.id != user.id).distinct()
    others = [(row.id, row.name) for row in session.execute(asked.order_by(User.name))]
    return [(user.id, user.name), *others]


def _count(name: str, label: str, **how: Any) -> Column:
    """A counter of the run; of a live run it is the sum over its chunks."""
    so_far = select(func.coalesce(func.sum(getattr(RunChunk, name)), 0)).where(
        RunChunk.run_id == Run.id
    )
    value = case(
        (Run.finished_at.is_(None), so_far.correlate(Run).scalar_subquery()),
        else_=getattr(Run, name),
    )
    return Column(name, label, value, kind="number", is_sortable=False, **how)


def _seconds() -> ColumnElement[Any]:
    ended = func.coalesce(Run.finished_at, func.now())
    are_finite = and_(func.isfinite(ended), func.isfinite(Run.started_at))
    took = case((are_finite, ended - Run.started_at))
    return func.round(func.extract("epoch", took), 1)


REQUESTER = {"user_name": User.name, "actor": Run.requested_by}
"""The further columns that `PERSON` reads."""

PERSON = Column(
    "person",
    N_("Who"),
    func.coalesce(User.name, Run.requested_by),
    write=lambda row: row.user_name or name_of(db.session, row.actor),
)

STATUS = Column(
    "status",
    N_("Status"),
    Run.status,
    words={status: STATUS_LOOKS[status].word for status in STATUSES},
    tones={status: STATUS_LOOKS[status].tone for status in STATUSES},
)

WITH_STATUS = {
    status.replace(" ", "-"): (STATUS_LOOKS[status].word, Run.status == status)
    for status in STATUSES
}
"""Status in the URL → its label and the condition that selects its runs."""

_IS_MINE = Run.requested_by == bindparam("me", callable_=actor.get, type_=Text)
_IS_TROUBLE = Run.status.in_((FAILED, DONE_WITH_FAILURES))

RUNS = List(
    "runs",
    N_("Runs"),
    "runs.index",
    export="runs.export",
    rows=runs,
    key=Run.id,
    also={"scope_json": Run.scope, **REQUESTER},
    columns=(
        Column(
            "number",
            N_("Run"),
            Run.id,
            kind="number",
            link=lambda row: url_for("runs.record", run_id=row.key),
            write=lambda row: str(row.key),
        ),
        Column("kind", N_("Kind"), Run.kind, words=ByKind(lambda kind: kind.title)),
        Column(
            "scope",
            N_("What"),
            cast(Run.scope, Text),
            words={"{}": N_("everything")},
            write=lambda row: scope_in_words(row.scope_json),
            is_sortable=False,
            classes="cell-name",
        ),
        Column("dry_run", N_("Dry run"), Run.dry_run, words={True: N_("yes"), False: N_("no")}),
        PERSON,
        Column("created_at", N_("When"), Run.created_at, kind="moment"),
        STATUS,
        _count("checked", N_("Checked")),
        _count("changed", N_("Changed")),
        _count("unchanged", N_("Was right"), is_shown=False),
        _count("skipped", N_("Left alone"), is_shown=False),
        _count("failed", N_("Failed")),
        Column("seconds", N_("Seconds"), _seconds(), kind="number"),
        Column("finished_at", N_("Ended"), Run.finished_at, kind="moment", is_shown=False),
        Column("reason", N_("Reason"), Run.reason, is_shown=False, classes="cell-name"),
        Column("schedule", N_("Schedule"), Run.schedule, is_shown=False),
    ),
    filters=(
        Choice(
            "status",
            N_("Status"),
            {
                "live": (N_("Live"), Run.finished_at.is_(None)),
                "trouble": (N_("In trouble"), _IS_TROUBLE),
                "unmended": (N_("In trouble, and not mended since"), is_unmended()),
                **WITH_STATUS,
            },
        ),
        Choice("kind", N_("Kind"), ByKind(lambda kind: (kind.title, Run.kind == kind.name))),
        Reference("person", N_("Who"), User.id, _people),
        Moments("since", "until", N_("From"), N_("to"), Run.created_at),
        Housekeeping("quiet", N_("Housekeeping"), any_label=N_("Left out")),
        Choice("mine", N_("Mine"), {"1": (N_("Mine"), _IS_MINE)}, is_quiet=True),
    ),
    default_sort="-number",
    counted=counted("%(num)s run", "%(num)s runs"),
    nothing_yet=(
        N_("No runs yet"),
        N_("Checks, heals and other work in the background appear here, with what came of them."),
    ),
    classes="runs-table",
)


def _of_figures() -> Iterator[str]:
    return (figure.name for figure in registry.figures)


class FigureTitles(Mapping[str, Any]):
    """The titles of all figures, by name; evaluated late, as figures are declared after this module is imported.

    With `condition` each title is paired with it, as a `Choice` expects; `names` lists the figures included.
    """

    def __init__(
        self,
        condition: Callable[[str], ColumnElement[bool]] | None = None,
        names: Callable[[], Iterator[str]] = _of_figures,
    ) -> None:
        self._condition = condition
        self._names = names

    def __getitem__(self, name: str) -> Any:
        """The figure's title. Raises KeyError."""
        if name not in set(self):
            raise KeyError(name)
        title = subjects.title_of(name)
        return (title, self._condition(name)) if self._condition else title

    def __iter__(self) -> Iterator[str]:
        """The figures' names."""
        return self._names()

    def __len__(self) -> int:
        """The number of figures."""
        return len(list(self._names()))
