"""The app: made from its settings, part after part; what stands around every request."""

from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flask import Flask


def create_app(overrides: Mapping[str, Any] | None = None) -> "Flask":
    """The app, from the settings of the environment under `overrides`. Starts no service."""
    from ..security import headers, permissions, sessions
    from ..web import form_markup, formats, preferences, sentences
    from . import assets, commands, config, edge, errors, extensions, logs, navigation
    from .counting import watching

    app = edge.Backoffice(
        "backoffice", template_folder=config.ROOT / "templates", static_folder=None
    )
    app.config.update(config.load(overrides))
    config.apply(app.config)
    app.cli = commands.AppCommands()
    app.extensions = extensions.Extensions(app)
    edge.init_app(app)
    logs.init_app(app)
    extensions.connect_database(app)
    watching.init_app(app)
    headers.init_app(app)
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
    "people.token_views",
    "lists.views",
    "runs.views",
    "schedules.views",
    "drift.views",
    "drift.facts.views",
    "customers.views",
    "customers.deleting",
    "customers.merge_views",
    "billing.views",
    "billing.meters.views",
    "billing.meters.editing",
    "billing.meters.assignments",
    "billing.adjustments.views",
    "billing.meters.calculations",
    "billing.invoices.views",
    "billing.invoices.editing",
    "billing.statements.views",
    "billing.ageing.documents",
    "billing.ageing.views",
    "billing.payments.views",
    "billing.payments.entry",
    "billing.payments.replacing",
    "billing.payments.unmatched",
    "billing.recalculation.views",
    "billing.migration.views",
    "orders.views",
    "orders.editing",
    "orders.bulk.views",
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
    "search.views",
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
    "billing.recalculation.runs",
    "billing.migration.runs",
    "billing.approved_verbs",
    "customers.approved_verbs",
    "orders.bulk.approved_verbs",
    "pricing.approved_verbs",
    "commands.housekeeping",
)
"""The modules that declare kinds of background runs; what they name is all that a worker executes."""


def _register_domains(app: "Flask") -> None:
    """The runs of each domain, what the search finds of it, and its screens."""
    from .. import figures

    for name in (*TRIGGERS, *RUNS):
        import_module(f"backoffice.{name}")
    import_module("backoffice.schedules.catalog").check()
    for name in FOUND:
        import_module(f"backoffice.{name}")
    modules = [import_module(f"backoffice.{name}") for name in SCREENS]
    for blueprint in dict.fromkeys(module.bp for module in modules):
        app.register_blueprint(blueprint)
    import_module("backoffice.drift.facts.subjects").register()
    figures.registry.held = import_module("backoffice.drift.facts.holding").leave_alone
