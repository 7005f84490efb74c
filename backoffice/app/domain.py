"""What a domain has, said in one object, and what the domains of an app have together.

A domain names its things where they stand (`module:NAME`, a tuple of them or a function that answers them), so
that they are imported when a user first asks for them: a command imports no screen, and a worker nothing that
only pages show.
"""

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import KW_ONLY, dataclass
from functools import cached_property
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flask import Blueprint
    from sqlalchemy.orm import Session

    from ..approvals.verbs import Verb
    from ..audit.tables import Recorded
    from ..customers.owned_records import OwnedRecord
    from ..database.objects import DatabaseObject
    from ..drift.facts.holding import Hold
    from ..drift.recalculation import OwnersOf
    from ..figures import Check, Figure
    from ..lists.marking import Findings
    from ..records import Record
    from ..runs.kinds import RunKind
    from ..runs.wording import Reason
    from ..search.search_results import Findable
    from ..web.additions import Addition, Columns, Notes
    from ..web.record_links import Subject, Word
    from .attention import Source
    from .closing import ClosingCheck
    from .measures import Source as Measured

Things = Sequence[Any]
"""What a domain has of one sort: the things themselves, or the names (`module:NAME`) of tuples of them."""


@dataclass(frozen=True)
class NavigationEntry:
    """One screen in the navigation. `section` is the start of its endpoints, `also` are further ones.

    `place` is where it stands among those of all domains.
    """

    place: int
    label: str
    endpoint: str
    icon: str
    section: str
    also: tuple[str, ...] = ()

    def holds(self, endpoint: str) -> bool:
        """Whether the endpoint belongs to it."""
        return endpoint.startswith((self.section, *self.also))


@dataclass(frozen=True, eq=False)
class Domain:
    """One domain, and what it has.

    Work: `kinds` of background runs; `verbs` that two people look at. `scopes` say what it means that a run's scope has
    something of a name, `reasons` why one of its items was left, `words` what items are called that are of no figure.

    Facts: `models` are the modules with its tables, `figures` those that declare what is derived, and what must come
    to the same; `triggers` what
    PostgreSQL keeps of them, whoever writes; `records` what people enter, and what the API answers for; `recorded` how
    the audit trail shows further tables; `subjects` what rows of figures are called, and where they are shown; `owners`
    which figures belong to a record; `holds` say whom a heal leaves alone because what is beneath them cannot be right;
    `measures` what is told to Prometheus; `findings` keeps what is known to be wrong; `closing_checks` have to be in
    order before a month is closed. `afterwards` are asked
    before a user's request commits, and answer what is to be done once it is answered, if anything.

    Programs: `resources` are what the API answers for besides, each with `add_to(blueprint)` and its OpenAPI `paths()`.

    Screens: `screens` are the modules with its views, each with its blueprint as `bp`; `navigation` its entries there.
    The search of the shell finds `findable` and leads to `pages` (label, endpoint); Today shows `notices`. On the
    screens of other domains' records stand its `parts`, in their lists its `columns`, in their histories its `notes`;
    `owned_records` are customers'.
    """

    name: str
    _: KW_ONLY
    kinds: Things = ()
    verbs: Things = ()
    scopes: Things = ()
    reasons: Things = ()
    words: Things = ()
    models: Sequence[str] = ()
    figures: Sequence[str] = ()
    triggers: Things = ()
    records: Things = ()
    resources: Things = ()
    recorded: Things = ()
    subjects: Things = ()
    owners: Things = ()
    holds: Things = ()
    measures: Things = ()
    findings: Things = ()
    closing_checks: Things = ()
    afterwards: Things = ()
    screens: Sequence[str] = ()
    navigation: Things = ()
    findable: Things = ()
    pages: Things = ()
    notices: Things = ()
    parts: Things = ()
    columns: Things = ()
    notes: Things = ()
    owned_records: Things = ()


class DeclaredTwice(ValueError):
    """Two things of one sort have the same name."""


class Declared:
    """What the domains of one app have, each sort in the order of the domains."""

    def __init__(self, domains: Iterable[Domain]) -> None:
        self.domains = tuple(domains)
        self._named("domains", ((domain.name, domain) for domain in self.domains))

    def import_models(self) -> None:
        """Let SQLAlchemy know every table, whatever of the domains is imported besides."""
        for domain in self.domains:
            for name in domain.models:
                import_module(name)

    @property
    def blueprints(self) -> Sequence["Blueprint"]:
        """The blueprints of all screens; imports them."""
        modules = (import_module(name) for domain in self.domains for name in domain.screens)
        return tuple(dict.fromkeys(module.bp for module in modules))

    @cached_property
    def navigation(self) -> Sequence[NavigationEntry]:
        """The entries of the navigation, from top to bottom."""
        found = self._named("places", ((entry.place, entry) for entry in self._all("navigation")))
        return [found[place] for place in sorted(found)]

    @cached_property
    def figures(self) -> Sequence["Figure"]:
        """What is derived of the facts: every figure of these modules, so that none is declared and forgotten."""
        from ..figures import Figure

        return self._derived(Figure)

    @cached_property
    def checks(self) -> Mapping[str, "Check"]:
        """Name → what must come to the same, of the same modules."""
        from ..figures import Check

        return self._named("checks", ((check.name, check) for check in self._derived(Check)))

    def _derived(self, sort: type[Any]) -> tuple[Any, ...]:
        """Everything of that sort that the modules of figures declare."""
        modules = (import_module(name) for domain in self.domains for name in domain.figures)
        found = (thing for module in modules for thing in vars(module).values())
        return tuple(dict.fromkeys(thing for thing in found if isinstance(thing, sort)))

    @cached_property
    def triggers(self) -> Sequence["DatabaseObject"]:
        """What PostgreSQL holds for domains, beside what it holds for figures and the audit trail."""
        found = self._all("triggers")
        return tuple(self._named("triggers", ((item.name, item) for item in found)).values())

    @cached_property
    def kinds(self) -> dict[str, "RunKind"]:
        """Name → kind of run; all that a worker executes."""
        found = (*self._all("kinds"), *(verb.kind for verb in self.verbs.values()))
        return self._named("kinds of runs", ((kind.name, kind) for kind in found))

    @cached_property
    def verbs(self) -> dict[str, "Verb"]:
        """Name → what two people look at."""
        return self._named("verbs", ((verb.name, verb) for verb in self._all("verbs")))

    @cached_property
    def scopes(self) -> Mapping[str, str]:
        """Name of something in a run's scope → what it means that it is there."""
        return self._named("scopes", self._all("scopes"))

    @cached_property
    def reasons(self) -> Mapping[str, "Reason"]:
        """Sentence → the reason for which an item was left or failed."""
        return self._named("reasons", ((r.sentence, r) for r in self._all("reasons")))

    @cached_property
    def words(self) -> Mapping[str, "Word"]:
        """Name → what the items are called that are rows of no figure."""
        return self._named("words", ((word.name, word) for word in self._all("words")))

    @cached_property
    def records(self) -> dict[str, "Record"]:
        """Domain's name in addresses → what people enter there, and what the API answers for."""
        return self._named("records", ((record.domain, record) for record in self._all("records")))

    @cached_property
    def resources(self) -> Sequence[Any]:
        """What the API answers for beside records."""
        return self._all("resources")

    @cached_property
    def recorded(self) -> Mapping[str, "Recorded"]:
        """Table → how the audit trail shows its rows."""
        found = (*(record.recorded() for record in self.records.values()), *self._all("recorded"))
        return self._named("recorded tables", ((r.model.__tablename__, r) for r in found))

    @cached_property
    def subjects(self) -> Mapping[str, "Subject"]:
        """Table → what the rows of its figures are called, and where they are shown."""
        found = self._all("subjects")
        if any(record.figures for record in self.records.values()):
            of_record = import_module("backoffice.records.figure_links").figure_links_of
            found += (subject for record in self.records.values() for subject in of_record(record))
        return self._named("subjects", ((s.table, s) for s in found))

    @cached_property
    def owners(self) -> Sequence["OwnersOf"]:
        """Which figures of whom belong to a record."""
        return self._all("owners")

    @cached_property
    def holds(self) -> Sequence["Hold"]:
        """Whom a heal leaves alone."""
        return self._all("holds")

    @cached_property
    def measures(self) -> Mapping[str, "Measured"]:
        """Name → what tells its measures, in the order in which they are read."""
        found: list[Measured] = self._all("measures")
        self._named("measures", ((m.name, m) for source in found for m in source.measures))
        return self._named("sources of measures", ((source.name, source) for source in found))

    @cached_property
    def findings(self) -> "Findings | None":
        """Whoever keeps what is known to be wrong of stored rows; without one nothing is marked."""
        return next(iter(self._all("findings")), None)

    @cached_property
    def closing_checks(self) -> Sequence["ClosingCheck"]:
        """What has to be in order before a month is closed."""
        found = self._all("closing_checks")
        return tuple(self._named("closing checks", ((c.name, c) for c in found)).values())

    @cached_property
    def afterwards(self) -> Sequence["Callable[[Session], Callable[[Session], None] | None]"]:
        """Who is asked before a user's request commits what is to be done once it is answered."""
        return self._all("afterwards")

    @cached_property
    def findable(self) -> dict[str, "Findable"]:
        """Name → what the search finds, in the order in which it is asked and shown."""
        found = sorted(self._all("findable"), key=lambda kind: kind.rank)
        plain = [r for name, r in self.records.items() if name not in {kind.name for kind in found}]
        if plain:
            of_record = import_module("backoffice.records.finding").findable
            found += map(of_record, plain)
        return self._named("kinds of records to find", ((kind.name, kind) for kind in found))

    @cached_property
    def pages(self) -> Mapping[str, str]:
        """Endpoint → what the page is called; those that the search leads to, beside the navigation's."""
        return {endpoint: label for label, endpoint in self._all("pages")}

    @cached_property
    def notices(self) -> Sequence["Source"]:
        """What Today asks."""
        found = self._all("notices")
        return tuple(self._named("notices", ((source.name, source) for source in found)).values())

    @cached_property
    def parts(self) -> Sequence["Addition"]:
        """What domains show on the screens of others' records."""
        return self._all("parts")

    @cached_property
    def columns(self) -> Sequence["Columns"]:
        """What domains show in the lists of others' records."""
        return self._all("columns")

    @cached_property
    def notes(self) -> Sequence["Notes"]:
        """What domains tell in the histories of others' records."""
        return self._all("notes")

    @cached_property
    def owned_records(self) -> Sequence["OwnedRecord"]:
        """What belongs to customers."""
        return self._all("owned_records")

    def _all(self, sort: str) -> list[Any]:
        """Everything of that sort that the domains have, in their order."""
        return [
            thing
            for domain in self.domains
            for named in getattr(domain, sort)
            for thing in (_those(named) if isinstance(named, str) else (named,))
        ]

    @staticmethod
    def _named(sort: str, things: Iterable[tuple[Hashable, Any]]) -> dict[Any, Any]:
        """The things by their names. Raises DeclaredTwice."""
        found: dict[Any, Any] = {}
        for name, thing in things:
            if name in found:
                raise DeclaredTwice(f"Two {sort} are called {name!r}.")
            found[name] = thing
        return found


def _those(name: str) -> Iterable[Any]:
    """The things that a name stands for, imported now; of a function, what it answers."""
    module, _, attribute = name.partition(":")
    things: Any = getattr(import_module(module), attribute)
    answered: Iterable[Any] = things() if callable(things) else things
    return answered


current: ContextVar[Declared] = ContextVar("declared")
"""What the domains of the app at work have; set while one of its contexts is."""


def declared() -> Declared:
    """What the domains of the app at work have. Raises LookupError outside an app context."""
    return current.get()
