"""Who may call which view: the decorators on the views, and the guard that reads them. The table is in `rights`.

A view declares who may call it with `@requires("orders.write")` or `@public`. The guard runs before every request and
refuses a view that declares neither, so that no view is open by omission. `@requires("metrics.read",
scope="metrics")` opens a view to programs with a token of that scope too.
"""

from collections.abc import Callable
from typing import Any, TypeVar

from flask import current_app, request, session
from flask_login import current_user
from werkzeug.exceptions import Forbidden, Unauthorized

from ..app.edge import Backoffice
from ..base.actor import actor
from ..people.models import OF_RECORDS, SCOPES
from . import bearer
from .rights import KNOWN, PERMISSIONS, ROLES, allowed, mine_or

__all__ = [
    "PERMISSIONS",
    "ROLES",
    "allowed",
    "guard",
    "init_app",
    "mine_or",
    "open_scopes",
    "public",
    "requires",
]

View = TypeVar("View", bound=Callable[..., Any])


def requires(permission: str, *, scope: str = "") -> Callable[[View], View]:
    """Mark a view as open to the roles that have `permission`, and to tokens of `scope`."""
    if permission not in KNOWN:
        raise ValueError(f"No role has the permission {permission!r}; add it to PERMISSIONS first.")
    if scope and scope not in SCOPES and not OF_RECORDS.fullmatch(scope):
        raise ValueError(f"No token has the scope {scope!r}; add it to SCOPES first.")

    def mark(view: View) -> View:
        view.required_permission = permission  # type: ignore[attr-defined]
        view.token_scope = scope  # type: ignore[attr-defined]
        return view

    return mark


def open_scopes() -> list[str]:
    """The scopes that open a route of this app; a token of any other would open nothing."""
    named = {getattr(view, "token_scope", "") for view in current_app.view_functions.values()}
    return [
        *(scope for scope in SCOPES if scope in named),
        *sorted(filter(OF_RECORDS.fullmatch, named)),
    ]


def public(view: View) -> View:
    """Mark a view as open to everyone, signed in or not."""
    view.is_public = True  # type: ignore[attr-defined]
    return view


def for_programs(view: View) -> View:
    """Mark a view as open to tokens alone: no browser can be made to call it."""
    view.is_for_programs = True  # type: ignore[attr-defined]
    return view


def stateless(view: View) -> View:
    """Mark a view as open to everyone and the same for all: no session is read for it."""
    view.is_stateless = True  # type: ignore[attr-defined]
    return public(view)


class UndeclaredView(RuntimeError):
    """A route with a view that declares neither `@requires` nor `@public`."""


def guard() -> None:
    """Refuse the request unless the caller may open its view, and set the actor."""
    endpoint = request.endpoint or ""
    view = current_app.view_functions.get(endpoint)
    if getattr(view, "is_stateless", False):
        session.give_up()  # type: ignore[attr-defined]
        actor.set("")
        return
    scope = getattr(view, "token_scope", "")
    permission = getattr(view, "required_permission", None)
    program = bearer.program_for(scope, permission or "") if scope else None
    if program is not None:
        actor.set(program.actor)
        return
    if getattr(view, "is_for_programs", False):
        raise bearer.TokenRefused(scope)
    user = current_user._get_current_object()  # resolved once, not for each attribute
    actor.set(f"user:{user.id}" if user.is_authenticated else "")
    if view is None or getattr(view, "is_public", False):
        return
    if permission is None:
        raise UndeclaredView(
            f"The view {endpoint} says neither @requires nor @public; mark it, below @route."
        )
    if not user.is_authenticated:
        raise bearer.TokenRefused(scope) if scope and bearer.wants_a_token() else Unauthorized()
    if not allowed(user, permission):
        raise Forbidden()


def _forget_actor(_error: BaseException | None = None) -> None:
    actor.set("")  # the server's thread is reused for another user


def init_app(app: Backoffice) -> None:
    """Install the guard; call this before CSRF, so that an ended session is reported first."""
    app.guard = guard
    app.before_request(guard)
    app.teardown_request(_forget_actor)
    app.jinja_env.globals.update(allowed=allowed, ROLES=ROLES)
