"""What a domain declares, in one object, and what the domains of an app declare together.

A domain names its things where they are defined (`module:NAME`, a tuple of them or a function that returns them), so
that they are imported when they are first needed: a command imports no screen, and a worker nothing that
only pages show.
"""

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import KW_ONLY, dataclass
from functools import cached_property
from importlib import import_module
from typing import TYPE_CHECKING, Any

from ..base.late import named

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
"""What a domain declares of one sort: the things themselves, or the names (`module:NAME`) of tuples of them."""


@dataclass(frozen=True)
class NavigationEntry:
    """One screen in the navigation. `section` is the prefix of its endpoints, `also` are further ones.

    `place` is its position among the entries of all domains.
    """

    place: int
    label: str
    endpoint: str
    icon: str
    section: str
    also: tuple[str, ...] = ()

    def holds(self, endpoint: str) -> bool:
        """Whether the endpoint belongs to this entry."""
        return endpoint.startswith((self.section, *self.also))


@dataclass(frozen=True, eq=False)
class Domain:
    """One domain, and what it declares.

    Work: `kinds` of background runs; `verbs` that need two people. `scopes` describe the keys of a run's scope,
    `reasons` why an item was skipped or failed, `words` the names of items that are rows of no figure.

    Facts: `models` are the modules with its tables, `figures` those that declare figures and checks; `triggers` are
    the domain's own in PostgreSQL, `unwatched` the tables without any; `records` are entered by users and exposed by
    the API; `recorded` is how the audit trail shows further tables; `subjects` are names and URLs of rows of figures;
    `owners` are the figures that belong to a record; `holds` are the owners that a heal skips because the facts beneath
    are in doubt; `measures` are exposed to Prometheus; `findings` stores what is known to be wrong; `closing_checks`
    have to pass before a month is closed. `afterwards` are called before a user's request commits, and return what is
    to be done after the response, if anything.

    Programs: `resources` are further API resources, each with `add_to(blueprint)` and its OpenAPI `paths()`.

    Screens: `screens` are the modules with its views, each with its blueprint as `bp`; `navigation` its entries there.
    The search of the shell finds `findable` and leads to `pages` (label, endpoint); Today shows `notices`. On the
    screens of other domains' records it adds `parts`, in their lists `columns`, in their histories `notes`;
    `owned_records` are those that belong to customers.
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
    unwatched: Things = ()
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
    """What the domains of one app declare, each sort in the order of the domains."""

    def __init__(self, domains: Iterable[Domain]) -> None:
        self.domains = tuple(domains)
        self._entry_of: dict[str, str] = {}
        self._named("domains", ((domain.name, domain) for domain in self.domains))

    def import_models(self) -> None:
        """Import the models of all domains, so that SQLAlchemy knows every table."""
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

    def entry_of(self, endpoint: str) -> str:
        """The endpoint of the entry that a screen belongs to, or empty; the longest matching section wins."""
        if endpoint not in self._entry_of:
            fitting = [entry for entry in self.navigation if entry.holds(endpoint)]
            longest = max(fitting, key=lambda entry: len(entry.section), default=None)
            self._entry_of[endpoint] = longest.endpoint if longest else ""
        return self._entry_of[endpoint]

    @cached_property
    def figures(self) -> Sequence["Figure"]:
        """Every figure that these modules define, so that none is declared and forgotten."""
        from ..figures import Figure

        return self._derived(Figure)

    @cached_property
    def checks(self) -> Mapping[str, "Check"]:
        """Name → check, of the same modules."""
        from ..figures import Check

        return self._named("checks", ((check.name, check) for check in self._derived(Check)))

    def _derived(self, sort: type[Any]) -> tuple[Any, ...]:
        """Every object of that type that the modules of figures define."""
        modules = (import_module(name) for domain in self.domains for name in domain.figures)
        found = (thing for module in modules for thing in vars(module).values())
        return tuple(dict.fromkeys(thing for thing in found if isinstance(thing, sort)))

    @cached_property
    def triggers(self) -> Sequence["DatabaseObject"]:
        """The domains' own triggers and functions, beside those of figures and of the audit trail."""
        found = self._all("triggers")
        return tuple(self._named("triggers", ((item.name, item) for item in found)).values())

    @cached_property
    def unwatched(self) -> frozenset[str]:
        """The tables that no trigger watches: whoever writes them changes no figure and enters nothing in the trail."""
        return frozenset(self._all("unwatched"))

    @cached_property
    def kinds(self) -> dict[str, "RunKind"]:
        """Name → kind of run; all that a worker executes."""
        found = (*self._all("kinds"), *(verb.kind for verb in self.verbs.values()))
        return self._named("kinds of runs", ((kind.name, kind) for kind in found))

    @cached_property
    def verbs(self) -> dict[str, "Verb"]:
        """Name → verb that needs two people."""
        return self._named("verbs", ((verb.name, verb) for verb in self._all("verbs")))

    @cached_property
    def scopes(self) -> Mapping[str, str]:
        """Key of a run's scope → its description."""
        return self._named("scopes", self._all("scopes"))

    @cached_property
    def reasons(self) -> Mapping[str, "Reason"]:
        """Sentence → the reason why an item was skipped or failed."""
        return self._named("reasons", ((r.sentence, r) for r in self._all("reasons")))

    @cached_property
    def words(self) -> Mapping[str, "Word"]:
        """Subject → the name of items that are rows of no figure."""
        return self._named("words", ((word.name, word) for word in self._all("words")))

    @cached_property
    def records(self) -> dict[str, "Record"]:
        """Name in URLs → record that users enter and the API exposes."""
        return self._named("records", ((record.domain, record) for record in self._all("records")))

    @cached_property
    def resources(self) -> Sequence[Any]:
        """The API's resources beside records."""
        return self._all("resources")

    @cached_property
    def recorded(self) -> Mapping[str, "Recorded"]:
        """Table → how the audit trail shows its rows."""
        found = (*(record.recorded() for record in self.records.values()), *self._all("recorded"))
        return self._named("recorded tables", ((r.model.__tablename__, r) for r in found))

    @cached_property
    def subjects(self) -> Mapping[str, "Subject"]:
        """Table → the names and URLs of the rows of its figures."""
        found = self._all("subjects")
        if any(record.figures for record in self.records.values()):
            of_record = import_module("backoffice.records.figure_links").figure_links_of
            found += (subject for record in self.records.values() for subject in of_record(record))
        return self._named("subjects", ((s.table, s) for s in found))

    @cached_property
    def owners(self) -> Sequence["OwnersOf"]:
        """Which figures, and which of their owners, belong to a record."""
        return self._all("owners")

    @cached_property
    def holds(self) -> Sequence["Hold"]:
        """The owners that a heal skips."""
        return self._all("holds")

    @cached_property
    def measures(self) -> Mapping[str, "Measured"]:
        """Name → source of measures, in the order in which they are read."""
        found: list[Measured] = self._all("measures")
        self._named("measures", ((m.name, m) for source in found for m in source.measures))
        return self._named("sources of measures", ((source.name, source) for source in found))

    @cached_property
    def findings(self) -> "Findings | None":
        """The store of known findings on stored rows; without one nothing is marked as wrong."""
        return next(iter(self._all("findings")), None)

    @cached_property
    def closing_checks(self) -> Sequence["ClosingCheck"]:
        """The checks that have to pass before a month is closed."""
        found = self._all("closing_checks")
        return tuple(self._named("closing checks", ((c.name, c) for c in found)).values())

    @cached_property
    def afterwards(self) -> Sequence["Callable[[Session], Callable[[Session], None] | None]"]:
        """Functions called before a user's request commits; each returns what to do after the response, or None."""
        return self._all("afterwards")

    @cached_property
    def findable(self) -> dict[str, "Findable"]:
        """Name → what the search finds, in the order in which it is searched and shown."""
        found = sorted(self._all("findable"), key=lambda kind: kind.rank)
        plain = [r for name, r in self.records.items() if name not in {kind.name for kind in found}]
        if plain:
            of_record = import_module("backoffice.records.finding").findable
            found += map(of_record, plain)
        return self._named("kinds of records to find", ((kind.name, kind) for kind in found))

    @cached_property
    def pages(self) -> Mapping[str, str]:
        """Endpoint → title of a page that the search leads to, beside those of the navigation."""
        return {endpoint: label for label, endpoint in self._all("pages")}

    @cached_property
    def notices(self) -> Sequence["Source"]:
        """The sources of notices on Today."""
        found = self._all("notices")
        return tuple(self._named("notices", ((source.name, source) for source in found)).values())

    @cached_property
    def parts(self) -> Sequence["Addition"]:
        """The parts that domains add to the screens of other domains' records."""
        return self._all("parts")

    @cached_property
    def columns(self) -> Sequence["Columns"]:
        """The columns that domains add to the lists of other domains' records."""
        return self._all("columns")

    @cached_property
    def notes(self) -> Sequence["Notes"]:
        """The notes that domains add to the histories of other domains' records."""
        return self._all("notes")

    @cached_property
    def owned_records(self) -> Sequence["OwnedRecord"]:
        """The records that belong to customers."""
        return self._all("owned_records")

    def _all(self, sort: str) -> list[Any]:
        """Everything of that sort that the domains declare, in their order."""
        return [
            thing
            for domain in self.domains
            for one in getattr(domain, sort)
            for thing in (_those(one) if isinstance(one, str) else (one,))
        ]

    @staticmethod
    def _named(sort: str, things: Iterable[tuple[Hashable, Any]]) -> dict[Any, Any]:
        """The things by name. Raises DeclaredTwice."""
        found: dict[Any, Any] = {}
        for name, thing in things:
            if name in found:
                raise DeclaredTwice(f"Two {sort} are called {name!r}.")
            found[name] = thing
        return found


def _those(name: str) -> Iterable[Any]:
    """The things that a name refers to, imported now; for a function, what it returns."""
    things = named(name)
    answered: Iterable[Any] = things() if callable(things) else things
    return answered


current: ContextVar[Declared] = ContextVar("declared")
"""What the domains of the current app declare; set while one of its contexts is active."""


def declared() -> Declared:
    """What the domains of the current app declare. Raises LookupError outside an app context."""
    return current.get()
