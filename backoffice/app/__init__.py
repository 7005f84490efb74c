"""The app factories: the app is created from its settings, and the web is added around it."""

from collections.abc import Iterable, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any

from .loading import end_without_collecting, uncollected

if TYPE_CHECKING:
    from flask import Flask

    from .domain import Domain
    from .edge import Backoffice


def create_app(
    overrides: Mapping[str, Any] | None = None, domains: "Iterable[Domain] | None" = None
) -> "Flask":
    """The whole app: the background app with its web. Arguments as of `create_background_app`."""
    with uncollected():
        app = create_background_app(overrides, domains)
        _surround_with_the_web(app)
        return app


def create_background_app(
    overrides: Mapping[str, Any] | None = None, domains: "Iterable[Domain] | None" = None
) -> "Backoffice":
    """The app without its web, for commands and workers: they start without importing the screens.

    Settings come from the environment, with `overrides`; all `DOMAINS` are used unless given. Starts no service.
    """
    end_without_collecting()
    with uncollected():
        from ..web import preferences
        from . import commands, config, edge, extensions
        from .domain import Declared
        from .domains import DOMAINS

        app = edge.Backoffice(
            "backoffice", template_folder=config.ROOT / "templates", static_folder=None
        )
        app.declared = Declared(DOMAINS if domains is None else domains)
        app.declared.import_models()
        app.config.update(config.load(overrides))
        config.apply(app.config)
        app.cli = commands.AppCommands()
        app.extensions = extensions.Extensions(app)
        extensions.connect_database(app)
        preferences.init_app(app)
        return app


def _surround_with_the_web(app: "Backoffice") -> None:
    from ..security import headers, permissions, sessions
    from ..web import form_markup, formats, kept, sentences
    from . import assets, edge, errors, logs, navigation, protection
    from .counting import watching

    edge.init_app(app)
    logs.init_app(app)
    watching.init_app(app)
    headers.init_app(app)
    assets.init_app(app)
    sessions.init_app(app)
    sentences.init_app(app)
    kept.init_app(app)
    permissions.init_app(app)  # before CSRF, so that an expired session is reported first
    protection.connect_csrf(app)
    protection.connect_limiter(app)
    errors.init_app(app)
    formats.init_app(app)
    form_markup.init_app(app)
    navigation.init_app(app)
    _register_screens(app)


def _register_screens(app: "Backoffice") -> None:
    """Register the screens of each domain, and check that every schedule's kind of run is declared."""
    import_module("backoffice.schedules.catalog").check(app.declared.kinds)
    for blueprint in app.declared.blueprints:
        app.register_blueprint(blueprint)
    screens = import_module("backoffice.records.screens")
    for record in app.declared.records.values():
        if record.domain not in app.blueprints:
            app.register_blueprint(screens.blueprint_of(record))
    api = import_module("backoffice.records.api").api_of(
        app.declared.records.values(), app.declared.resources
    )
    app.register_blueprint(api)
