"""Settings: read from the environment, all errors reported at once, and no start without a secret."""

import stat
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import click
import pytest

from backoffice.app import config
from backoffice.app.config import READERS, ConfigurationError, load, plain_url

NewHome = Callable[[], Path]
CONSOLE = click.Context(click.Group("backoffice"), info_name="backoffice")
ELSEWHERE = "postgresql://app:secret@db.example/books"


@pytest.fixture
def environment(
    monkeypatch: pytest.MonkeyPatch, new_home: NewHome
) -> Iterator[Callable[..., None]]:
    """Sets environment variables; all others but BACKOFFICE_HOME are unset, as for `dev`."""
    for name in READERS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("BACKOFFICE_HOME", str(new_home()))

    def set_variables(**variables: str) -> None:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)

    with click.Context(click.Command("dev"), info_name="dev", parent=CONSOLE):
        yield set_variables


def test_nothing_needs_to_be_configured(environment: Callable[..., None]) -> None:
    settings = load()
    assert settings["EMBEDDED_POSTGRES"]
    assert settings["EMBEDDED_REDIS"]
    assert settings["DATABASE_URL"].startswith("postgresql+psycopg://backoffice_app@")
    assert settings["MIGRATION_DATABASE_URL"].startswith("postgresql+psycopg://backoffice_owner@")
    assert settings["CURRENCY"] == "IDR"
    assert settings["BUSINESS_TIMEZONE"] == "Asia/Jakarta"
    assert settings["SIGNIFICANT_CHANGE"] == Decimal(100)
    assert settings["DEMO"] is True


def test_the_secret_is_made_once_and_only_its_owner_reads_it(
    environment: Callable[..., None],
) -> None:
    settings = load()
    path = settings["BACKOFFICE_HOME"] / "secret_key"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert len(settings["SECRET_KEY"]) >= 64
    assert load()["SECRET_KEY"] == settings["SECRET_KEY"]


@pytest.mark.parametrize(
    "variables", [{"BACKOFFICE_ENV": "production"}, {"DATABASE_URL": ELSEWHERE}]
)
def test_production_does_not_start_without_a_secret(
    environment: Callable[..., None], variables: dict[str, str]
) -> None:
    environment(**variables)
    with pytest.raises(ConfigurationError, match=r"SECRET_KEY is missing.*Make one with"):
        load()
    environment(SECRET_KEY="long enough")
    assert load()["SECRET_KEY"] == "long enough"


def test_production_starts_with_an_empty_book_unless_asked(
    environment: Callable[..., None],
) -> None:
    environment(BACKOFFICE_ENV="production", SECRET_KEY="long enough")
    assert load()["DEMO"] is False
    environment(DEMO="1")
    assert load()["DEMO"] is True


def test_everything_that_is_wrong_is_said_at_once(environment: Callable[..., None]) -> None:
    environment(
        PORT="99999", CURRENCY="XXX", BUSINESS_TIMEZONE="Mars/Olympus", LANGUAGE_DEFAULT="fr",
        SIGNIFICANT_CHANGE="NaN", DATABASE_URL="sqlite:///books.db", REDIS_URL="memcached://x",
        DEMO="maybe", BACKOFFICE_ENV="staging",
    )  # fmt: skip
    with pytest.raises(ConfigurationError) as refused:
        load()
    lines = str(refused.value).splitlines()
    assert {line.partition(":")[0] for line in lines} == {
        "PORT", "CURRENCY", "BUSINESS_TIMEZONE", "LANGUAGE_DEFAULT", "SIGNIFICANT_CHANGE",
        "DATABASE_URL", "REDIS_URL", "DEMO", "BACKOFFICE_ENV",
    }  # fmt: skip


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_every_way_to_write_a_database_address_is_taken(
    environment: Callable[..., None], scheme: str
) -> None:
    environment(DATABASE_URL=f"{scheme}://app@db.example/books", SECRET_KEY="long enough")
    settings = load()
    assert settings["DATABASE_URL"] == "postgresql+psycopg://app@db.example/books"
    assert settings["MIGRATION_DATABASE_URL"] == settings["DATABASE_URL"]
    assert plain_url(settings["DATABASE_URL"]) == "postgresql://app@db.example/books"
    assert not settings["EMBEDDED_POSTGRES"]


def test_what_a_caller_overrides_is_checked_like_the_environment(
    environment: Callable[..., None],
) -> None:
    settings: dict[str, Any] = load({"CURRENCY": "VND", "TESTING": True})
    assert (settings["CURRENCY"], settings["TESTING"]) == ("VND", True)
    with pytest.raises(ConfigurationError, match="CURRENCY"):
        load({"CURRENCY": "XXX"})


def test_the_languages_are_those_that_the_screens_speak() -> None:
    from backoffice.web.preferences import LANGUAGES

    assert tuple(LANGUAGES) == config.LANGUAGES
