"""Settings, all of them from the environment, checked before anything starts."""

import os
import re
import secrets
import sys
from collections.abc import Callable, Collection, Mapping
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import click

from ..base import N_, money, periods
from ..base.currencies import CURRENCIES
from ..base.trouble import Trouble, Unwritable
from ..database.embedded import ADMIN, OWNER, Folders, Postgres, Redis

Settings = dict[str, Any]

LANGUAGES = ("en", "id")

ROOT = Path(__file__).resolve().parent.parent.parent
"""The source tree, which contains templates, static files and migrations."""


SUPERVISED = "BACKOFFICE_SUPERVISED"
"""The variable that marks processes of `backoffice dev`, which manages the embedded services for them."""

HOME_MAKERS = ("dev", "db upgrade")
"""The commands that may create a home; for any other a missing home is an error, not a wish for an empty book."""


class NoHome(Trouble):
    """There is no home at `BACKOFFICE_HOME`, and this command does not create one."""

    def __init__(self, home: Path) -> None:
        super().__init__(
            f"There is no Backoffice in {home}. Set BACKOFFICE_HOME to the folder where one is (or DATABASE_URL "
            "to its database); `make run` and `backoffice db upgrade` make a new one there."
        )


class ConfigurationError(Trouble):
    """Settings of the environment are invalid; the message lists all of them."""


def load(overrides: Mapping[str, Any] | None = None) -> Settings:
    """Every setting of the app, as `app.config` holds it: from the environment, with `overrides`.

    Raises `ConfigurationError` with everything that is wrong, one sentence a line.
    """
    overrides = overrides or {}
    given = {**os.environ, **{k: str(v) for k, v in overrides.items() if k in READERS}}
    settings: Settings = {}
    complaints: list[str] = []
    for name, (default, read) in READERS.items():
        try:
            settings[name] = read(given.get(name) or default)
        except ValueError as error:
            complaints.append(f"{name}: {error}")
    settings.update({k: v for k, v in overrides.items() if k not in READERS})
    complaints += _missing_secret(settings) + _strange_webhook(settings)
    if not complaints:
        given_demo, in_production = settings["DEMO"], settings["BACKOFFICE_ENV"] == "production"
        settings["DEMO"] = given_demo == "1" or (not given_demo and not in_production)
        # Flask's own name: cookies are Secure in production, whatever a proxy says of the request.
        settings["SESSION_COOKIE_SECURE"] = in_production
    if complaints:
        raise ConfigurationError("\n".join(complaints))
    _add_embedded(settings)
    settings["SECRET_KEY"] = settings["SECRET_KEY"] or _own_secret(settings["BACKOFFICE_HOME"])
    settings["AUDIT_KEY"] = settings["AUDIT_KEY"] or (settings["SECRET_KEY"],)
    return settings


TRUSTS_NO_PROXY = N_(
    "TRUSTED_PROXIES is 0, so every visitor has the address of the proxy: logs name it, and one visitor's failed "
    "attempts count for all. Set it to the number of proxies in front of Backoffice."
)
ANSWERS_TO_ANY_HOST = N_(
    "TRUSTED_HOSTS is empty, so Backoffice answers to any host name. Set it to the names in its address."
)


def warnings(settings: Mapping[str, Any]) -> list[str]:
    """What should be set in production and is not; said at every start, by `info` and in Settings."""
    if settings["BACKOFFICE_ENV"] != "production":
        return []
    found = {
        TRUSTS_NO_PROXY: not settings["TRUSTED_PROXIES"],
        ANSWERS_TO_ANY_HOST: not settings["TRUSTED_HOSTS"],
    }
    return [sentence for sentence, is_missing in found.items() if is_missing]


def apply(settings: Settings) -> None:
    """Set the currency and the business time zone of this process."""
    money.set_currency(settings["CURRENCY"])
    periods.set_timezone(settings["BUSINESS_TIMEZONE"])


def plain_url(url: str) -> str:
    """A database URL as psql and other programs take it, without SQLAlchemy's driver name."""
    return url.replace("postgresql+psycopg://", "postgresql://", 1)


def _database_url(text: str) -> str:
    if not text:
        return ""
    scheme, separator, rest = text.partition("://")
    if not separator or scheme not in ("postgres", "postgresql", "postgresql+psycopg"):
        raise ValueError(
            "is not the address of a PostgreSQL; write it like postgresql://user:password@host/name. "
            "No other database can hold these books."
        )
    return f"postgresql+psycopg://{rest}"


def _redis_url(text: str) -> str:
    if text and not text.startswith(("redis://", "rediss://", "unix://")):
        raise ValueError("is not the address of a Redis; write it like redis://host:6379/0.")
    return text


def _whole(low: int, high: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        if not (text.isascii() and text.isdigit() and low <= int(text) <= high):
            raise ValueError(f"{text!r} is not a whole number from {low} to {high}.")
        return int(text)

    return read


def _amount(text: str) -> Decimal:
    try:
        amount = Decimal(text)
    except InvalidOperation:
        amount = Decimal("NaN")
    if not amount.is_finite() or amount < 0:
        raise ValueError(f"{text!r} is not an amount; write it like 100 or 99.50.")
    return amount


def _one_of(*choices: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text not in choices:
            raise ValueError(f"{text!r} is none of {', '.join(choices)}.")
        return text

    return read


def _timezone(text: str) -> str:
    try:
        ZoneInfo(text)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"{text!r} is not a time zone; write it like Asia/Jakarta.") from None
    return text


def _audit_secrets(text: str) -> tuple[str, ...]:
    secrets_ = tuple(text.replace(",", " ").split())
    if any(len(secret) < 16 for secret in secrets_):
        raise ValueError("holds a secret of fewer than 16 characters; nobody may guess it.")
    return secrets_


_RATE = r"[1-9][0-9]{0,8} per (second|minute|hour|day)"
_RATES = re.compile(f"{_RATE}(; *{_RATE})*", re.ASCII)


def _rates(text: str) -> str:
    if not _RATES.fullmatch(text):
        raise ValueError(f"{text!r} is no rate; write it like 600 per minute; 12000 per hour.")
    return text


def _hosts(text: str) -> list[str] | None:
    return [host.strip() for host in text.split(",") if host.strip()] or None


def _list(text: str) -> list[str]:
    return [one.strip() for one in text.split(",") if one.strip()]


def _smtp(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in ("smtp", "smtps", "smtp+starttls") or not parts.hostname:
        raise ValueError(
            "write it like smtp://mail:25, smtp+starttls://user:password@mail:587 or smtps://mail."
        )
    return text


def is_allowed_webhook(url: str, hosts: Collection[str]) -> bool:
    """Whether alerts may be sent to `url`: its host is in `hosts`, and the connection is encrypted or local."""
    parts = urlsplit(url)
    is_here = parts.hostname in ("localhost", "127.0.0.1")
    return parts.hostname in hosts and (
        parts.scheme == "https" or (parts.scheme == "http" and is_here)
    )


_STRANGE_WEBHOOK = (
    "ALERT_WEBHOOK_URL: its host is not in ALERT_WEBHOOK_HOSTS, or it is not https. Name the hosts to which "
    "alerts may be sent, like hooks.example.com"
)


def _strange_webhook(settings: Settings) -> list[str]:
    url = settings.get("ALERT_WEBHOOK_URL")
    if not url or is_allowed_webhook(url, settings.get("ALERT_WEBHOOK_HOSTS", ())):
        return []
    return [_STRANGE_WEBHOOK]


READERS: dict[str, tuple[str, Callable[[str], Any]]] = {
    "BACKOFFICE_ENV": ("development", _one_of("development", "production")),
    "BACKOFFICE_HOME": (str(ROOT / "var"), lambda text: Path(text).expanduser().absolute()),
    "DATABASE_URL": ("", _database_url),
    "MIGRATION_DATABASE_URL": ("", _database_url),
    "REDIS_URL": ("", _redis_url),
    "SECRET_KEY": ("", str),
    "AUDIT_KEY": ("", _audit_secrets),
    "HOST": ("127.0.0.1", str),
    "PORT": ("8000", _whole(1, 65535)),
    "HEALTH_PORT": ("0", _whole(0, 65535)),
    "DEMO": ("", _one_of("", "0", "1")),
    "COMPANY_NAME": ("Backoffice", str),
    "COMPANY_ADDRESS": ("", str),
    "CURRENCY": ("IDR", _one_of(*CURRENCIES)),
    "BUSINESS_TIMEZONE": ("Asia/Jakarta", _timezone),
    "LANGUAGE_DEFAULT": ("en", _one_of(*LANGUAGES)),
    "SIGNIFICANT_CHANGE": ("100", _amount),
    "APPROVAL_ABOVE_COUNT": ("1000", _whole(0, 1_000_000_000)),
    "APPROVAL_ABOVE_AMOUNT": ("1000000000", _amount),
    "TRUSTED_HOSTS": ("", _hosts),
    "TRUSTED_PROXIES": ("0", _whole(0, 9)),
    "STATEMENT_TIMEOUT": ("30000", _whole(0, 86_400_000)),
    "LOCK_TIMEOUT": ("5000", _whole(0, 86_400_000)),
    "WEB_LOCK_TIMEOUT": ("2000", _whole(0, 86_400_000)),
    "RUN_LEASE_SECONDS": ("30", _whole(1, 3600)),
    "API_RATE": ("600 per minute; 12000 per hour", _rates),
    "CLOSE_MONTHS_AFTER_DAYS": ("0", _whole(0, 365)),
    "ALERT_MAIL_TO": ("", _list),
    "ALERT_MAIL_FROM": ("backoffice@localhost", str),
    "SMTP_URL": ("smtp://localhost", _smtp),
    "ALERT_WEBHOOK_URL": ("", str),
    "ALERT_WEBHOOK_HOSTS": ("", _list),
    "WEB_THREADS": ("24", _whole(1, 1000)),
    "LOG_LEVEL": ("INFO", _one_of("DEBUG", "INFO", "WARNING", "ERROR")),
}
"""Every environment variable that Backoffice reads → its default, and the function that parses it."""


def _missing_secret(settings: Settings) -> list[str]:
    external = bool(settings.get("DATABASE_URL"))
    if settings.get("SECRET_KEY") or not (
        external or settings.get("BACKOFFICE_ENV") == "production"
    ):
        return []
    return [NO_SIGNING_KEY]


NO_SIGNING_KEY = (
    "SECRET_KEY is missing. In production, and with a database of your own, Backoffice does not "
    "start without it, because it signs what browsers bring back. Make one with: "
    "python3 -c 'import secrets; print(secrets.token_urlsafe(48))'"
)


def may_make_home() -> bool:
    """Whether this process runs a command that may create a missing home."""
    if SUPERVISED in os.environ:
        return True
    context = click.get_current_context(silent=True)
    if context is None:
        return False
    if context.parent is None:  # `flask` creates the app before it parses its command
        called = " ".join(sys.argv)
    else:
        called = f"{context.command_path} {context.invoked_subcommand or ''}"
    return any(f" {maker} " in f"{called} " for maker in HOME_MAKERS)


def _add_embedded(settings: Settings) -> None:
    """Fill in the URLs of the services that are not configured: they are embedded.

    Raises `NoHome` where their data is missing, unless this process may create it.
    """
    home: Path = settings["BACKOFFICE_HOME"]
    settings["EMBEDDED_POSTGRES"] = not settings["DATABASE_URL"]
    settings["EMBEDDED_REDIS"] = not settings["REDIS_URL"]
    is_there = Folders.exist(home) or may_make_home()
    if settings["EMBEDDED_REDIS"]:
        settings["REDIS_URL"] = Redis(Folders.of(home)).url if is_there else Redis.url_in(home)
    if settings["EMBEDDED_POSTGRES"]:
        if not is_there:
            raise NoHome(home)
        postgres = Postgres(Folders.of(home))
        if not (postgres.has_data() or may_make_home()):
            raise NoHome(home)
        settings["DATABASE_URL"] = _database_url(postgres.url())
        settings["MIGRATION_DATABASE_URL"] = _database_url(postgres.url(OWNER))
        settings["ADMIN_DATABASE_URL"] = _database_url(postgres.url(ADMIN))
        return
    settings["MIGRATION_DATABASE_URL"] = (
        settings["MIGRATION_DATABASE_URL"] or settings["DATABASE_URL"]
    )
    settings["ADMIN_DATABASE_URL"] = settings["MIGRATION_DATABASE_URL"]


def _own_secret(home: Path) -> str:
    """The secret key of this home, created at the first start; readable by its owner only."""
    path = home / "secret_key"
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return path.read_text().strip()
    except OSError as error:
        raise Unwritable(error) from error
    with os.fdopen(descriptor, "w") as file:
        file.write(secrets.token_urlsafe(48) + "\n")
    return path.read_text().strip()
