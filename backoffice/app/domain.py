"""What a domain has, said in one object, and what the domains of an app have together.

A domain names its things where they stand (`module:NAME`, a tuple of them), so that they are imported when
somebody first asks for them: a command imports no screen, and a worker nothing that only pages show.
"""

from collections.abc import Hashable, Iterable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import KW_ONLY, dataclass
from functools import cached_property
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flask import Blueprint

    from ..approvals.verbs import Verb
    from ..figures.objects import DatabaseObject
    from ..records import Record
    from ..runs.kinds import Kind
    from ..search.search_results import Kind as Findable

Things = Sequence[Any]
"""What a domain has of one sort: the things themselves, or the names (`module:NAME`) of tuples of them."""


@dataclass(frozen=True, eq=False)
class Domain:
    """One domain, and what it has.

    `screens` are the modules whose views are its screens, each with its blueprint as `bp`; `triggers` what PostgreSQL
    keeps of its facts, whoever writes; `kinds` the background runs that a worker may be asked for; `verbs` what two
    people look at; `records` what is entered, and what the API answers for. The search of the shell finds
    `findable`, and leads to `pages` (label and endpoint). `names` are the modules that say, when they are read, what
    its rows are called, in the trail and in runs, and which customer they are of, or which tables there are: every
    process reads them at its start, so none of them needs anything of the web.
    """

    name: str
    _: KW_ONLY
    names: Sequence[str] = ()
    screens: Sequence[str] = ()
    triggers: Things = ()
    kinds: Things = ()
    verbs: Things = ()
    records: Things = ()
    findable: Things = ()
    pages: Things = ()


class DeclaredTwice(ValueError):
    """Two things of one sort have the same name."""


class Declared:
    """What the domains of one app have, each sort in the order of the domains."""

    def __init__(self, domains: Iterable[Domain]) -> None:
        self.domains = tuple(domains)
        self._named("domains", ((domain.name, domain) for domain in self.domains))

    def read_names(self) -> None:
        """Import whatever says what rows are called."""
        for domain in self.domains:
            for name in domain.names:
                import_module(name)

    @property
    def blueprints(self) -> Sequence["Blueprint"]:
        """The blueprints of all screens; imports them."""
        modules = (import_module(name) for domain in self.domains for name in domain.screens)
        return tuple(dict.fromkeys(module.bp for module in modules))

    @cached_property
    def triggers(self) -> Sequence["DatabaseObject"]:
        """What PostgreSQL holds for domains, beside what it holds for figures and the audit trail."""
        found = self._all("triggers")
        return tuple(self._named("triggers", ((item.name, item) for item in found)).values())

    @cached_property
    def kinds(self) -> dict[str, "Kind"]:
        """Name → kind of run; all that a worker executes."""
        found = (*self._all("kinds"), *(verb.kind for verb in self.verbs.values()))
        return self._named("kinds of runs", ((kind.name, kind) for kind in found))

    @cached_property
    def verbs(self) -> dict[str, "Verb"]:
        """Name → what two people look at."""
        return self._named("verbs", ((verb.name, verb) for verb in self._all("verbs")))

    @cached_property
    def records(self) -> dict[str, "Record"]:
        """Domain's name in addresses → record."""
        return self._named("records", ((record.domain, record) for record in self._all("records")))

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
    """The things that a name stands for, imported now."""
    module, _, attribute = name.partition(":")
    things: Iterable[Any] = getattr(import_module(module), attribute)
    return things


current: ContextVar[Declared] = ContextVar("declared")
"""What the domains of the app at work have; set while one of its contexts is."""


def declared() -> Declared:
    """What the domains of the app at work have. Raises LookupError outside an app context."""
    return current.get()
