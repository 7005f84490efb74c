"""`backoffice tokens …`: the tokens with which other programs sign in."""

import json
from datetime import UTC, datetime, timedelta

import click
from flask.cli import AppGroup

from ..app.command_line import Trouble, never_together, print_rows
from ..app.extensions import db
from ..base import periods
from . import tokens
from .models import SCOPE_ALIASES, ApiToken

group = AppGroup("tokens")

LONGEST_DAYS = 3650


@group.command("create")
@click.option("--name", required=True, help="The program that will use it.")
@click.option(
    "--scope",
    "scopes",
    required=True,
    multiple=True,
    help="What it opens: metrics, health; by the API customers:read, customers:write …",
)
@click.option(
    "--days",
    type=click.IntRange(1, LONGEST_DAYS),
    default=tokens.LIFETIME.days,
    show_default=True,
    help="After how many days it expires.",
)
@click.option("--never-expires", is_flag=True, help="It is good until it is revoked.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on standard output.")
@never_together("never_expires", "days")
def create(
    name: str, scopes: tuple[str, ...], days: int, never_expires: bool, as_json: bool
) -> None:
    """Make a token and show it, this once."""
    from ..security.permissions import open_scopes  # imports the web, unlike the rest here

    if len(scopes) > 1:
        raise tokens.ManyScopes(scopes=", ".join(scopes))
    [scope] = scopes
    expires_at = None if never_expires else datetime.now(UTC) + timedelta(days=days)
    if SCOPE_ALIASES.get(scope, scope) not in open_scopes():
        raise tokens.UnknownScope(scope=scope, scopes=", ".join(open_scopes()))
    issued = tokens.create(db.session, name=name, scope=scope, expires_at=expires_at)
    db.session.commit()
    if as_json:
        click.echo(json.dumps({"token": issued.secret, **_as_json(issued.token)}))
        return
    click.echo("This is shown only now; it cannot be read again:", err=True)
    click.echo(issued.secret)


@group.command("list")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on standard output.")
def list_tokens(as_json: bool) -> None:
    """Show all tokens, without what opens anything."""
    found = tokens.all_tokens(db.session)
    if as_json:
        click.echo(json.dumps({"tokens": [_as_json(t) for t in found]}, ensure_ascii=False))
        return
    rows = []
    for token in found:
        state, expires = tokens.state_of(token), _day(token.expires_at, "never")
        used = _day(token.last_used_at, "never")
        rows.append((str(token.id), token.name, token.scope, state, expires, used))
    print_rows(["Number", "Name", "Scope", "State", "Expires", "Last used"], rows)


@group.command("revoke")
@click.argument("name_or_number")
def revoke(name_or_number: str) -> None:
    """Let a token open nothing any more."""
    token = _token(name_or_number)
    tokens.revoke(db.session, token)
    db.session.commit()
    click.echo(f"The token {token.name} is revoked.")


def _token(name_or_number: str) -> ApiToken:
    found = tokens.live_token_called(db.session, name_or_number)
    if found is None and name_or_number.isascii() and name_or_number.isdigit():
        found = db.session.get(ApiToken, min(int(name_or_number), 2**63 - 1))
    if found is None:
        raise Trouble(f"No token is called {name_or_number}. `backoffice tokens list` shows all.")
    return found


def _day(moment: datetime | None, none: str) -> str:
    return none if moment is None else periods.business_date(moment).isoformat()


def _as_json(token: ApiToken) -> dict[str, object]:
    moments = ("created_at", "expires_at", "last_used_at", "revoked_at")
    return {
        "id": token.id,
        "name": token.name,
        "scope": token.scope,
        "state": tokens.state_of(token),
        "created_by": token.created_by,
        **{name: _moment(getattr(token, name)) for name in moments},
    }


def _moment(moment: datetime | None) -> str | None:
    return None if moment is None else moment.astimezone(UTC).isoformat()
