"""Backoffice: the office app in which every stored total explains itself, proves itself and heals itself."""

from collections.abc import Mapping
from typing import Any

from flask import Flask


def create_app(overrides: Mapping[str, Any] | None = None) -> Flask:
    """The app, from the settings of the environment under `overrides`. Starts no service."""
    from . import (
        assets,
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
        sessions,
    )
    from .customers import views as customers
    from .health import views as health
    from .orders import editing as orders
    from .people import views as people

    app = edge.Backoffice(__name__, template_folder=config.ROOT / "templates", static_folder=None)
    app.config.update(config.load(overrides))
    config.apply(app.config)
    logs.init_app(app)
    extensions.connect_database(app)
    security.init_app(app)
    assets.init_app(app)
    sessions.init_app(app)
    preferences.init_app(app)
    permissions.init_app(app)  # before CSRF, so that an ended session says so first
    extensions.csrf.init_app(app)
    extensions.connect_limiter(app)
    errors.init_app(app)
    formats.init_app(app)
    form_markup.init_app(app)
    navigation.init_app(app)
    for domain in (people, customers, orders, health):
        app.register_blueprint(domain.bp)
    return app
