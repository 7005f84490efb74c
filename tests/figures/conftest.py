"""Fixtures for the core's own tests: tables, triggers, and sessions that keep figures right."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.orm import DeclarativeBase, Session, sessionmaker

from backoffice.figures import Registry
from backoffice.figures.keeping import hooks, triggers
from backoffice.figures.verifying.verification import verify

from .models import Base, Box, Item, Shelf, registry
from .worlds import Building, World, a_world, drop


def sqlalchemy_url(url: str) -> str:
    """A plain URL in SQLAlchemy's form for psycopg 3."""
    return url.replace("postgresql://", "postgresql+psycopg://", 1)


@pytest.fixture(scope="package")
def world(owner_database_url: str) -> Iterator[None]:
    """The tables and their note triggers, created as the owner and usable by the app's role."""
    engine = create_engine(sqlalchemy_url(owner_database_url))
    with engine.begin() as connection:
        Base.metadata.create_all(connection)
        for table in Base.metadata.sorted_tables:
            connection.execute(
                text(f"GRANT SELECT, INSERT, UPDATE, DELETE ON {table.name} TO backoffice_app")
            )
        triggers.sync(connection, registry)
    yield
    with engine.begin() as connection:
        drop(connection, Base, registry)
        connection.execute(text("DELETE FROM schema_fingerprints WHERE \"group\" = 'tests'"))
    engine.dispose()


@pytest.fixture(scope="package")
def figure_engine(world: None, database_url: str) -> Iterator[Engine]:
    """An engine of the app's role with connections that drain."""
    engine = create_engine(
        sqlalchemy_url(database_url),
        connect_args={"cursor_factory": hooks.NotingCursor},
    )
    hooks.install(engine, registry)
    yield engine
    engine.dispose()


@pytest.fixture
def sessions(figure_engine: Engine, app: Any) -> sessionmaker[Session]:
    """Makes sessions that keep the world's figures right."""
    factory = sessionmaker(figure_engine, class_=type("WorldSession", (Session,), {}))
    hooks.install_session(factory, registry)
    return factory


@pytest.fixture
def db(sessions: sessionmaker[Session]) -> Iterator[Session]:
    """One session of the world."""
    with sessions() as session:
        yield session
        session.rollback()


@pytest.fixture(autouse=True)
def the_world_is_right(request: pytest.FixtureRequest) -> Iterator[None]:
    """After every test no figure of the world has drifted, unless the test allows it."""
    if "figure_engine" not in request.fixturenames:
        yield
        return
    engine = request.getfixturevalue("figure_engine")
    request.getfixturevalue("app")
    yield
    if request.node.get_closest_marker("leaves_drift") is None:
        left = [f.as_dict() for f in verify(engine, registry)]
        assert not left, f"The test left figures wrong: {left}"


@pytest.fixture
def outside(owner_database_url: str, world: None) -> Iterator[psycopg.Connection[Any]]:
    """Another program: a plain connection of another role that commits each statement at once."""
    with psycopg.connect(owner_database_url, autocommit=True) as connection:
        yield connection


@pytest.fixture
def building(
    app: Any, owner_database_url: str, database_url: str, admin_database_url: str
) -> Building:
    """Makes worlds of a test's own tables and registry, one after the other."""
    urls = {"owner": owner_database_url, "app": database_url, "admin": admin_database_url}
    return lambda base, registry: a_world(base, registry, **urls)


@pytest.fixture
def build(building: Building) -> Iterator[Callable[[type[DeclarativeBase], Registry], World]]:
    """Make a world that lasts as long as the test."""
    with ExitStack() as stack:
        yield lambda base, registry: stack.enter_context(building(base, registry))


@pytest.fixture
def shelf(db: Session) -> Shelf:
    """A shelf of two boxes: 2 × 10 and 1 × 5 red, 3 × 1 blue."""
    shelf = Shelf()
    db.add(shelf)
    db.flush()
    boxes = [Box(shelf_id=shelf.id), Box(shelf_id=shelf.id)]
    db.add_all(boxes)
    db.flush()
    db.add_all(
        [
            Item(box_id=boxes[0].id, quantity=Decimal(2), price=Decimal(10)),
            Item(box_id=boxes[0].id, quantity=Decimal(1), price=Decimal(5)),
            Item(box_id=boxes[1].id, quantity=Decimal(3), price=Decimal(1), colour="blue"),
        ]
    )
    db.commit()
    return shelf
