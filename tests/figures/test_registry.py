"""The registry refuses at start-up, with a sentence, what it could not keep."""

from typing import Any

import pytest
from sqlalchemy import Engine, Select, create_engine, func, select, text

from backoffice.figures import Registry, UnknownFigure, total
from backoffice.figures.errors import CycleError, DeclarationError
from backoffice.figures.keeping import triggers

from .conftest import sqlalchemy_url
from .models import Box, Item, Price, Purse, Shelf, Transfer, registry


def test_figures_that_build_on_each_other_in_a_circle_are_refused() -> None:
    circle = Registry()
    circle.figure(Box.total, Box.red + 1, title="Total")
    circle.figure(Box.red, Box.total - 1, title="Red")
    with pytest.raises(CycleError, match=r"in a circle: .*t_boxes.red"):
        circle.seal()


def test_a_figure_that_builds_on_itself_is_refused_unless_it_may_be_entered() -> None:
    itself = Registry()
    itself.figure(Box.total, Box.total + 1, title="Total")
    with pytest.raises(CycleError):
        itself.seal()
    entered = Registry()
    entered.figure(
        Box.total, func.coalesce(total(Item.amount, by=Item.box_id), Box.total),
        title="Total", entered={Box.total: Box.red == 0},
    )  # fmt: skip
    entered.seal()


def test_a_circle_over_three_tables_is_refused() -> None:
    circle = Registry()
    circle.figure(Shelf.total, func.coalesce(total(Box.total, by=Box.shelf_id), 0), title="S")

    @circle.figure(Box.total, title="B")
    def from_shelf(shelf: Any = Shelf, box: Any = Box) -> Select[Any]:
        return select(box.c.id, shelf.c.total).join(shelf, shelf.c.id == box.c.shelf_id)

    with pytest.raises((CycleError, DeclarationError)):
        circle.seal()


@pytest.mark.parametrize(
    ("declare", "sentence"),
    [
        (lambda r: [r.figure(Box.total, Box.red, title="a") for _ in range(2)], "declared twice"),
        (
            lambda r: [r.figure(Box.total, Box.red, title="a", name=n) for n in "xy"],
            "kept by two figures",
        ),
        (lambda r: r.figure(Box.total, Price.price, title="a"), "needs a SELECT"),
        (lambda r: r.figure(Box.total, "1", title="a"), "not a column expression"),
        (lambda r: r.figure("total", Box.red, title="a"), "not a column of a table"),
        (lambda r: r.figure({Box.total: Box.id, Box.red: Box.id}, title="a"), "needs a name"),
        (
            lambda r: r.figure({Box.total: Box.id, Shelf.total: Box.id}, title="a", name="a"),
            "stand in one table",
        ),
        (
            lambda r: r.figure(
                Purse.balance, total(Transfer.amount, by=Transfer.to_id) * 2,
                title="a", incremental=True,
            ),
            "is a sum of totals",
        ),
        (lambda r: r.figure(Item.amount, Item.price, owner=Item.note, title="a"), "refers to no table"),
    ],
)  # fmt: skip
def test_a_declaration_that_cannot_be_kept_says_why(declare: Any, sentence: str) -> None:
    fresh = Registry()

    def declare_and_seal() -> None:
        declare(fresh)
        fresh.seal()

    with pytest.raises(DeclarationError, match=sentence):
        declare_and_seal()


def test_raw_text_in_a_select_is_refused_because_it_hides_what_it_reads() -> None:
    fresh = Registry()

    @fresh.figure(Box.total, title="a")
    def hidden(item: Any = Item) -> Select[Any]:
        return select(item.c.box_id.label("id"), text("sum(amount) AS total"))

    with pytest.raises(DeclarationError, match="hides what it reads"):
        fresh.seal()


def test_nothing_is_declared_after_the_registry_is_sealed() -> None:
    with pytest.raises(DeclarationError, match="after the registry was sealed"):
        registry.bundles and registry.figure(Box.total, Box.red, title="late", name="late")


def test_an_unknown_figure_names_the_known_ones() -> None:
    with pytest.raises(UnknownFigure, match=r"Known figures: .*t_boxes\.totals"):
        registry.get("boxes.totl")


def test_triggers_are_synced_by_fingerprint_and_a_change_is_seen(
    figure_engine: Engine, owner_database_url: str
) -> None:
    engine = create_engine(sqlalchemy_url(owner_database_url))
    with engine.begin() as connection:
        assert triggers.sync(connection, registry) == [], "a second sync has nothing to do"
        connection.execute(
            text(
                "UPDATE schema_fingerprints SET fingerprint = 'old' "
                "WHERE name = 'backoffice_note_t_items_update'"
            )
        )
        wrong = ["backoffice_note_t_items_update"]
        assert list(triggers.out_of_date(connection, registry)) == wrong
        assert triggers.sync(connection, registry) == wrong
        assert triggers.out_of_date(connection, registry) == {}
    engine.dispose()


@pytest.mark.parametrize(
    "how", ["DROP TRIGGER {0} ON t_items", "ALTER TABLE t_items DISABLE TRIGGER {0}"]
)
def test_a_trigger_that_is_gone_or_switched_off_is_seen_and_put_back(
    figure_engine: Engine, owner_database_url: str, how: str
) -> None:
    name = "backoffice_note_t_items_delete"
    engine = create_engine(sqlalchemy_url(owner_database_url))
    with engine.begin() as connection:
        connection.execute(text(how.format(name)))
        assert list(triggers.out_of_date(connection, registry)) == [name]
        assert triggers.sync(connection, registry) == [name]
        assert triggers.out_of_date(connection, registry) == {}
    engine.dispose()
