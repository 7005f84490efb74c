"""What domains declare: every name resolves to an object of its sort, and two apps in one process share nothing."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import fields
from importlib import import_module
from types import FunctionType
from typing import Any

import pytest
from flask import Flask

from backoffice.app.attention import Source as Notices
from backoffice.app.closing import ClosingCheck
from backoffice.app.domain import Declared, DeclaredTwice, Domain, declared
from backoffice.app.domains import DOMAINS
from backoffice.app.measures import Source as Measures
from backoffice.approvals.verbs import Verb
from backoffice.audit.tables import Recorded
from backoffice.customers.owned_records import OwnedRecord
from backoffice.database.objects import DatabaseObject
from backoffice.drift.facts.holding import Hold
from backoffice.drift.marks import RecordedFindings
from backoffice.drift.recalculation import OwnersOf
from backoffice.figures import Check, Figure
from backoffice.imports.api import FileEndpoint
from backoffice.imports.by_line.api import UploadEndpoints
from backoffice.records import Record
from backoffice.runs.kinds import RunKind
from backoffice.runs.wording import Reason
from backoffice.search.search_results import Findable
from backoffice.web.additions import Addition, Columns, Notes
from backoffice.web.record_links import Subject, Word

SORTS: dict[str, type | tuple[type, ...]] = {
    "kinds": RunKind, "verbs": Verb, "scopes": tuple, "reasons": Reason, "words": Word,
    "triggers": DatabaseObject, "unwatched": str, "records": Record, "recorded": Recorded, "subjects": Subject,
    "owners": OwnersOf, "holds": Hold,
    "measures": Measures, "findings": RecordedFindings, "findable": Findable, "pages": tuple, "notices": Notices,
    "parts": Addition, "columns": Columns, "notes": Notes, "owned_records": OwnedRecord,
    "resources": (FileEndpoint, UploadEndpoints), "closing_checks": ClosingCheck,
    "afterwards": FunctionType,
}  # fmt: skip
MODULES = {"models", "figures", "screens"}


def things(named: Any) -> Iterable[Any]:
    module, _, attribute = named.partition(":")
    found = getattr(import_module(module), attribute)
    return list(found()) if callable(found) else found


def test_every_field_of_a_domain_is_looked_at_here() -> None:
    assert {field.name for field in fields(Domain)} == {
        "name", "navigation", *SORTS, *MODULES,
    }  # fmt: skip


@pytest.mark.parametrize("domain", DOMAINS, ids=lambda domain: domain.name)
def test_whatever_a_domain_names_is_there_and_of_its_sort(app: Flask, domain: Domain) -> None:
    with app.app_context():
        for sort, kind in SORTS.items():
            for named in getattr(domain, sort):
                found = things(named)
                assert found, f"{named} holds nothing"
                assert all(isinstance(thing, kind) for thing in found), f"{sort}: {named}"
    for name in domain.models:
        assert import_module(name)
    for name in domain.figures:
        derived = vars(import_module(name)).values()
        assert any(isinstance(thing, Figure | Check) for thing in derived)
    for name in domain.screens:
        assert import_module(name).bp
    for entry in domain.navigation:
        own = app.blueprints[entry.endpoint.partition(".")[0]].import_name
        assert own.startswith((f"backoffice.{domain.name}.", "backoffice.records."))
        assert entry.holds(entry.endpoint)


def test_what_pages_read_is_added_for_the_whole_app(app: Flask) -> None:
    """What one blueprint alone adds to templates is left out: see `Backoffice.update_template_context`."""
    of_flask = "flask.templating"  # each blueprint brings Flask's own again
    of_blueprints = {
        where: [processor.__module__ for processor in processors]
        for where, processors in app.template_context_processors.items()
        if where is not None
    }
    assert {name for names in of_blueprints.values() for name in names} <= {of_flask}


def test_every_domain_declares_in_its_own_package() -> None:
    """A name in another domain's package would be declared twice, or by the wrong domain."""
    for domain in DOMAINS:
        sorts = [f.name for f in fields(domain) if f.name not in ("name", "navigation")]
        named = [n for sort in sorts for n in getattr(domain, sort)]
        own = (f"backoffice.{domain.name}.", "backoffice.database.")  # that package is no domain's
        strange = [n for n in named if not n.startswith(own)]
        assert strange == []


COUNT = RunKind("test.count", "Count", "figures.heal", lambda *_: (), lambda _: None)


def test_two_apps_in_one_process_know_their_own(
    app: Flask, application_of: Callable[[Sequence[Domain]], Flask]
) -> None:
    other = application_of((*DOMAINS, Domain("count", kinds=(COUNT,))))
    with app.app_context():
        assert "test.count" not in declared().kinds
        with other.app_context():
            assert declared().kinds["test.count"] is COUNT
        assert "test.count" not in declared().kinds
    with pytest.raises(LookupError):
        declared()


def test_an_app_is_left_though_what_was_done_in_it_failed(app: Flask) -> None:
    with pytest.raises(ZeroDivisionError), app.app_context():
        1 / 0  # noqa: B018 (asked for its refusal)
    with pytest.raises(LookupError):
        declared()


def test_two_domains_or_things_of_one_name_are_refused() -> None:
    with pytest.raises(DeclaredTwice, match="domains are called 'one'"):
        Declared([Domain("one"), Domain("one")])
    twice = Declared([Domain("one", kinds=(COUNT,)), Domain("two", kinds=(COUNT,))])
    with pytest.raises(DeclaredTwice, match=r"kinds of runs are called 'test\.count'"):
        twice.kinds  # noqa: B018 (asked for its refusal)
