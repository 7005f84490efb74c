"""Backoffice: the office app in which every stored total explains itself, proves itself and heals itself."""

from collections.abc import Mapping
from importlib import import_module
from typing import Any

from flask import Flask


def create_app(overrides: Mapping[str, Any] | None = None) -> Flask:
    """The app, from the settings of the environment under `overrides`. Starts no service."""
    from . import (
        assets,
        cli,
        config,
        edge,
        errors,
        extensions,
        form_markup,
        formats,
        logs,
        navigation,
        permissions,
        preferences,
        security,
        sentences,
        sessions,
    )
    from .counting import watching

    app = edge.Backoffice(__name__, template_folder=config.ROOT / "templates", static_folder=None)
    app.config.update(config.load(overrides))
    config.apply(app.config)
    app.cli = cli.AppCommands()
    app.extensions = extensions.Extensions(app)
    edge.init_app(app)
    logs.init_app(app)
    extensions.connect_database(app)
    watching.init_app(app)
    security.init_app(app)
    assets.init_app(app)
    sessions.init_app(app)
    preferences.init_app(app)
    sentences.init_app(app)
    permissions.init_app(app)  # before CSRF, so that an ended session says so first
    extensions.csrf.init_app(app)
    extensions.connect_limiter(app)
    errors.init_app(app)
    formats.init_app(app)
    form_markup.init_app(app)
    navigation.init_app(app)
    _register_domains(app)
    return app


SCREENS = (
    "people.views",
    "people.token_screens",
    "lists.views",
    "runs.views",
    "schedules.views",
    "drift.views",
    "drift.facts.screens",
    "customers.views",
    "customers.editing",
    "customers.merge_screens",
    "billing.views",
    "billing.meter_screens",
    "billing.meter_editing",
    "billing.assignment_editing",
    "billing.adjustment_screens",
    "billing.calculation_screens",
    "billing.invoice_screens",
    "billing.invoice_editing",
    "billing.statement_screens",
    "billing.ageing_documents",
    "billing.ageing_screens",
    "billing.payment_screens",
    "billing.payment_entry",
    "billing.payment_replacing",
    "billing.unmatched_screens",
    "billing.recalculation_screens",
    "billing.migration_screens",
    "orders.views",
    "orders.editing",
    "orders.bulk_editing",
    "audit.views",
    "health.views",
    "health.today",
    "health.overview",
    "metrics.views",
    "products.views",
    "pricing.views",
    "targets.views",
    "targets.editing",
    "reconciliation.views",
    "reports.views",
    "imports.views",
    "search",
)
"""The modules that hold views, each of a domain's one blueprint."""


FOUND = (
    "customers.finding",
    "orders.finding",
    "billing.finding",
    "products.finding",
    "targets.finding",
    "people.finding",
    "health.finding",
)
"""The modules that say what the search of the shell finds, in the order in which it shows it."""


TRIGGERS = ("customers.triggers", "billing.triggers", "orders.triggers")
"""The modules that declare what PostgreSQL keeps of a domain's facts, whoever writes."""


RUNS: tuple[str, ...] = (
    "drift.runs",
    "drift.facts.runs",
    "audit.runs",
    "reconciliation.runs",
    "schedules.runs",
    "billing.runs",
    "billing.migrating.runs",
    "billing.approved_verbs",
    "customers.approved_verbs",
    "orders.bulk.approved_verbs",
    "pricing.approved_verbs",
    "housekeeping",
)
"""The modules that declare kinds of background runs; what they name is all that a worker executes."""


def _register_domains(app: Flask) -> None:
    """The runs of each domain, what the search finds of it, and its screens."""
    from . import figures
    from .schedules.listed import check as check_schedules

    for name in (*TRIGGERS, *RUNS):
        import_module(f".{name}", __name__)
    check_schedules()
    for name in FOUND:
        import_module(f".{name}", __name__)
    modules = [import_module(f".{name}", __name__) for name in SCREENS]
    for blueprint in dict.fromkeys(module.bp for module in modules):
        app.register_blueprint(blueprint)
    import_module(".drift.facts.subjects", __name__).register()
    figures.registry.held = import_module(".drift.facts.holding", __name__).leave_alone
