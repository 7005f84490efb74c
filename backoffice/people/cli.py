"""`backoffice users …`: user administration without a browser, for the first administrator and for scripts."""

import json
import sys

import click
from flask.cli import AppGroup
from sqlalchemy import select

from ..app.command_line import Trouble, never_together, print_rows
from ..app.extensions import db
from ..security.rights import ROLES
from . import actions, queries
from .models import User

users = AppGroup("users")

ROLE = click.Choice(list(ROLES))


@users.command("create")
@click.argument("email")
@click.option("--name", required=True, help="The person's name.")
@click.option("--role", type=ROLE, default="viewer", show_default=True)
@click.option("--password", help="Seen by others on this machine; --password-stdin is not.")
@click.option("--password-stdin", is_flag=True, help="Read the password from standard input.")
@click.option("--no-password", is_flag=True, help="Nobody can sign in as this user yet.")
@never_together("password", "password_stdin", "no_password")
@never_together("password_stdin", "no_password")
def create(
    email: str, name: str, role: str, password: str | None, password_stdin: bool, no_password: bool
) -> None:
    """Create a user; asks for the password unless one is given."""
    secret = "" if no_password else _password(password, password_stdin)
    user = actions.create_user(db.session, email=email, name=name, role=role, password=secret)
    db.session.commit()
    click.echo(f"{user.name} <{user.email}> is now a user with the role {user.role}.")


@users.command("list")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on standard output.")
def list_users(as_json: bool) -> None:
    """Show all users."""
    found = db.session.scalars(select(User).order_by(User.email)).all()
    if as_json:
        click.echo(json.dumps({"users": [_as_json(user) for user in found]}, ensure_ascii=False))
        return
    rows = [(user.email, user.name, user.role, _state(user)) for user in found]
    print_rows(["E-mail", "Name", "Role", "State"], rows)


@users.command("set-role")
@click.argument("email")
@click.argument("role", type=ROLE)
def set_role(email: str, role: str) -> None:
    """Give a user another role and end their sessions."""
    actions.set_role(db.session, _user(email), role)
    db.session.commit()
    click.echo(f"{email} has the role {role}.")


@users.command("set-password")
@click.argument("email")
@click.option("--password", help="Seen by others on this machine; --password-stdin is not.")
@click.option("--password-stdin", is_flag=True, help="Read the password from standard input.")
@never_together("password", "password_stdin")
def set_password(email: str, password: str | None, password_stdin: bool) -> None:
    """Set a user's password and end their sessions."""
    user = _user(email)
    secret = _password(password, password_stdin)
    actions.set_password(db.session, user, secret)
    db.session.commit()
    click.echo(f"{email} has a new password, and is signed out everywhere.")


@users.command("disable")
@click.argument("email")
def disable(email: str) -> None:
    """Keep a user out and end their sessions."""
    actions.disable(db.session, _user(email))
    db.session.commit()
    click.echo(f"{email} is disabled and signed out everywhere.")


@users.command("enable")
@click.argument("email")
def enable(email: str) -> None:
    """Let a disabled user in again."""
    actions.enable(db.session, _user(email))
    db.session.commit()
    click.echo(f"{email} can sign in again.")


def _user(email: str) -> User:
    user = queries.user_by_email(db.session, email)
    if user is None:
        raise Trouble(
            f"Nobody has the address {email}. `backoffice users list` shows who there is."
        )
    return user


def _password(given: str | None, from_stdin: bool) -> str:
    if given is not None:
        return given
    if from_stdin:
        return sys.stdin.readline().rstrip("\r\n")
    if not sys.stdin.isatty():
        raise Trouble("There is nobody to ask for a password here; give it with --password-stdin.")
    return str(click.prompt("Password", hide_input=True, confirmation_prompt=True))


def _state(user: User) -> str:
    if not user.is_active:
        return "disabled"
    return "active" if user.password_hash else "without password"


def _as_json(user: User) -> dict[str, object]:
    return {
        "id": user.id,
        "email": user.email,
        "name": user.name,
        "role": user.role,
        "is_active": user.is_active,
        "has_password": bool(user.password_hash),
    }
