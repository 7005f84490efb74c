"""The list of one run's items: their values before and after, and the outcome of each.

The amounts of an item are added up before and after, so that before + net = after in every row and in the totals;
single columns, and values that are not amounts, are listed column by column.
"""

import json
from functools import lru_cache
from typing import Any

from flask import url_for
from flask_babel import get_locale
from flask_babel import gettext as _
from sqlalchemy import (
    ARRAY,
    ColumnElement,
    String,
    Text,
    all_,
    and_,
    bindparam,
    case,
    cast,
    func,
    literal,
    select,
)
from sqlalchemy.dialects.postgresql import JSONB

from ..app.domain import Declared, declared
from ..app.navigation import may_open
from ..base import N_, counted, differences
from ..figures import Figure, registry
from ..lists import Choice, Column, List
from ..web import record_links as subjects
from ..web.record_links import Place
from .listing import FigureTitles
from .models import OUTCOMES, RunItem
from .wording import OUTCOMES as LOOKS
from .wording import Sentences, columns_in_words

_NOTHING = cast(literal("{}", Text), JSONB)


def _labels() -> str:
    """Subject of an item → labels of its columns, in the user's language; as JSON."""
    return _labels_in(str(get_locale()), declared(), tuple(registry.figures))


@lru_cache(16)
def _labels_in(_language: str, _known: Declared, _figures: tuple[Figure, ...]) -> str:
    """The labels, cached: there are about a thousand, and translating them takes as long as the list itself."""
    return json.dumps(
        {
            name: {column: str(_(label)) for column, label in subjects.labels_of(name).items()}
            for name in subjects.names()
        }
    )


def _several() -> list[str]:
    """The subjects that have several labelled columns."""
    return [name for name in subjects.names() if len(subjects.labels_of(name)) > 1]


def by_column(
    subject: ColumnElement[str],
    was: ColumnElement[Any],
    became: ColumnElement[Any],
    has_amounts: ColumnElement[bool],
) -> ColumnElement[Any]:
    """`wording.columns_in_words` as SQL, with unformatted numbers, for a file. `was` and `became` are jsonb."""
    labels = cast(bindparam("labels", callable_=_labels, type_=Text, unique=True), JSONB)
    both = func.coalesce(was, _NOTHING).concat(func.coalesce(became, _NOTHING))
    names = func.jsonb_object_keys(both).table_valued("name", name="names")
    name = names.c.name
    label = func.coalesce(func.jsonb_extract_path_text(labels, subject, name), name)
    before, after = (side[name].astext for side in (was, became))
    difference = func.coalesce(differences.signed_in_sql(before, after), "")
    reported = func.concat(label, " ", _or_dash(before), " → ", _or_dash(after), difference)
    several = bindparam("several", callable_=_several, type_=ARRAY(Text), unique=True)
    is_plain = and_(
        subject != all_(several),
        has_amounts,
        was.is_not(None),
        became.is_not(None),
        func.count() == 1,
    )
    spoken = func.string_agg(reported, literal(" · "))
    return select(case((~is_plain, spoken))).select_from(names).scalar_subquery()


def _or_dash(text: ColumnElement[str]) -> ColumnElement[str]:
    return func.coalesce(func.nullif(text, ""), "–")


def _owner_link(row: Any) -> str | None:
    place = Place(row.owner or 0, row.key_json, row.called or "")
    return subjects.record_url(row.subject, place)


def _reason_link(row: Any) -> str | None:
    reason = declared().reasons.get(row.error)
    if reason is None or not reason.leads_to or not may_open(reason.leads_to):
        return None
    return url_for(reason.leads_to, **reason.arguments)


def _record_column() -> Column:
    """The column of the item's record; built late, as domains declare the names of their records after this import."""
    value = func.coalesce(
        _called(),
        literal("#") + cast(RunItem.owner, String),
        _values(RunItem.key),
    )
    return Column(
        "owner_name", N_("Record"), value, link=_owner_link, classes="cell-name", is_sortable=False
    )


def _values(column: Any) -> ColumnElement[Any]:
    """The values of a key, without their names."""
    pairs = func.jsonb_each_text(column).table_valued("key", "value", name="pairs")
    return select(func.string_agg(pairs.c.value, ", ")).select_from(pairs).scalar_subquery()


def _called() -> ColumnElement[str]:
    item: tuple[Any, Any, Any] = (RunItem.subject, RunItem.owner, RunItem.key)
    return subjects.name_in_sql(*item)


def _money(name: str, label: str, **how: Any) -> Column:
    return Column(name, label, getattr(RunItem, name), kind="money", **how)


_COLUMNS = (
    Column("subject", N_("What"), RunItem.subject, words=FigureTitles(names=subjects.names)),
    _money("amount_before", N_("Before"), total=True),
    _money("amount_after", N_("After"), total=True),
    _money("amount", N_("Net"), total=True),
    _money("gross", N_("Gross"), total=True),
    Column(
        "by_column",
        N_("By column"),
        by_column(
            RunItem.subject.expression,
            RunItem.before.expression,
            RunItem.after.expression,
            RunItem.amount.is_not(None),
        ),
        write=lambda row: columns_in_words(
            row.subject, row.before_json, row.after_json, is_plain=row.has_amounts
        ),
        classes="cell-values",
        is_sortable=False,
    ),
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
        words=Sentences(),
        link=_reason_link,
        classes="cell-error",
    ),
    _money("concerns", N_("Amount"), total=True, is_shown=False),
    Column("owner", N_("Number"), RunItem.owner, kind="number", is_shown=False),
    Column("at", N_("When"), RunItem.at, kind="moment", is_shown=False),
)

_OUTCOME = Choice(
    "outcome",
    N_("Outcome"),
    {outcome: (LOOKS[outcome].word, RunItem.outcome == outcome) for outcome in OUTCOMES},
)


def items_of(run_id: int) -> List:
    """The items of one run, largest differences first."""
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
            "has_amounts": RunItem.amount.is_not(None),
        },
        columns=(_record_column(), *_COLUMNS),
        filters=(_OUTCOME,),
        default_sort="-gross",
        counted=counted("%(num)s item", "%(num)s items"),
        nothing_yet=(
            N_("No items"),
            N_("What is right is counted and not listed; anything else appears here."),
        ),
        classes="items-table",
    )
