"""The list of one run's items: what they were and became, and what came of each."""

from typing import Any

from sqlalchemy import (
    ColumnElement,
    Numeric,
    String,
    and_,
    case,
    cast,
    func,
    literal,
    select,
)

from .. import subjects
from ..base import N_, counted
from ..lists import Choice, Column, List
from ..subjects import Place
from .listing import FigureTitles
from .models import OUTCOMES, RunItem
from .wording import OUTCOMES as LOOKS
from .wording import error_in_words, values_in_words


def _only_number(column: Any) -> ColumnElement[Any]:
    """The number in an item's only amount; NULL where it has several, none, or no number."""
    pairs = _pairs(column)
    value = func.max(pairs.c.value)
    is_number = and_(func.count() == 1, value.regexp_match(r"^-?[0-9]+(\.[0-9]+)?$"))
    return select(case((is_number, cast(value, Numeric)))).select_from(pairs).scalar_subquery()


def _named(column: Any) -> ColumnElement[Any]:
    """Every amount of an item by name, for a file."""
    pairs = _pairs(column)
    named = pairs.c.key + literal(": ") + func.coalesce(pairs.c.value, "")
    return select(func.string_agg(named, "; ")).select_from(pairs).scalar_subquery()


def _values(column: Any) -> ColumnElement[Any]:
    """What stands in a key, without its names."""
    pairs = _pairs(column)
    return select(func.string_agg(pairs.c.value, ", ")).select_from(pairs).scalar_subquery()


def _in_full(name: str, label: str, column: Any) -> Column:
    return Column(name, label, _named(column), is_shown=False, is_sortable=False)


def _pairs(column: Any) -> Any:
    return func.jsonb_each_text(column).table_valued("key", "value", name="pairs").render_derived()


def _owner_link(row: Any) -> str | None:
    place = Place(row.owner or 0, row.key_json, row.called or "")
    return subjects.record_url(row.subject, place)


def _record_column() -> Column:
    """Whose item it is: the domains say what their records are called, after this module is read."""
    value = func.coalesce(
        _called(),
        literal("#") + cast(RunItem.owner, String),
        _values(RunItem.key),
    )
    return Column(
        "owner_name", N_("Record"), value, link=_owner_link, classes="cell-name", is_sortable=False
    )


def _called() -> ColumnElement[str]:
    item: tuple[Any, Any, Any] = (RunItem.subject, RunItem.owner, RunItem.key)
    return subjects.name_in_sql(*item)


_COLUMNS = (
    Column("subject", N_("What"), RunItem.subject, words=FigureTitles(names=subjects.names)),
    Column(
        "before",
        N_("Before"),
        _only_number(RunItem.before),
        kind="money",
        write=lambda row: values_in_words(row.subject, row.before_json),
        classes="cell-values",
        is_sortable=False,
    ),
    Column(
        "after",
        N_("After"),
        _only_number(RunItem.after),
        kind="money",
        write=lambda row: values_in_words(row.subject, row.after_json),
        classes="cell-values",
        is_sortable=False,
    ),
    Column("amount", N_("Difference"), RunItem.amount, kind="money", total=True),
    Column(
        "outcome",
        N_("Outcome"),
        RunItem.outcome,
        words={outcome: LOOKS[outcome].word for outcome in OUTCOMES},
        tones={outcome: LOOKS[outcome].tone for outcome in OUTCOMES},
    ),
    Column(
        "error",
        N_("Why"),
        RunItem.error,
        write=lambda row: error_in_words(row.error),
        classes="cell-error",
    ),
    Column("size", N_("Size"), func.abs(RunItem.amount), kind="money", is_shown=False),
    Column("owner", N_("Number"), RunItem.owner, kind="number", is_shown=False),
    Column("at", N_("When"), RunItem.at, kind="moment", is_shown=False),
    _in_full("stored", N_("Before, by column"), RunItem.before),
    _in_full("expected", N_("After, by column"), RunItem.after),
)

_OUTCOME = Choice(
    "outcome",
    N_("Outcome"),
    {outcome: (LOOKS[outcome].word, RunItem.outcome == outcome) for outcome in OUTCOMES},
)


def items_of(run_id: int) -> List:
    """The items of one run, those that are wrong by most first."""
    return List(
        f"run-{run_id}-items",
        N_("Items"),
        "runs.record",
        export="runs.export_items",
        rows=lambda _user: select().select_from(RunItem).where(RunItem.run_id == run_id),
        key=RunItem.id,
        also={
            "key_json": RunItem.key,
            "before_json": RunItem.before,
            "after_json": RunItem.after,
            "called": _called(),
        },
        columns=(_record_column(), *_COLUMNS),
        filters=(_OUTCOME,),
        default_sort="-size",
        counted=counted("%(num)s item", "%(num)s items"),
        nothing_yet=(
            N_("No items"),
            N_("What is right is counted and not listed; anything else appears here."),
        ),
        classes="items-table",
    )
