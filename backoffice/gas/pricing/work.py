"""The work of a run that changes prices: planning its chunks, processing one, and retrying failed items."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, func, select
from sqlalchemy.orm import Session

from ... import figures
from ...base import table_of
from ...base.refusals import Refusal
from ...runs.models import APPLIED, FOUND, ITEM_FAILED, SKIPPED, RunItem
from ...runs.work import Asked, Chunk, Step, Work
from ..figures import monthly
from ..rules import CHANGE_PRICES, MOVED, NO_PRICE, SHOWN, UNPRICED
from .actions import store
from .effects import NewPrice, PriceEffect, effects_of

CHUNK = 50
"""Customers per transaction; a customer has some hundred readings."""

ITEMS = table_of(RunItem)


def plan(connection: Connection, asked: Asked) -> Iterator[Chunk]:
    """The requested prices, or those that the dry run found to change something."""
    if "run" in asked.scope:
        found = select(ITEMS.c.details["price"], ITEMS.c.before, ITEMS.c.after).where(
            ITEMS.c.run_id == asked.scope["run"], ITEMS.c.outcome == FOUND
        )
        rows = connection.execute(found.order_by(ITEMS.c.owner)).all()
        reported = [{"price": price, "before": was, "after": then} for price, was, then in rows]
    else:
        shown = asked.scope.get(SHOWN)
        # Runs requested by an earlier version have only a flag there.
        seen = shown if isinstance(shown, dict) else {}
        reported = [{"price": price, **seen} for price in sorted(asked.scope["prices"])]
        yield from _chunks(asked.scope.get(UNPRICED, ()), UNPRICED)
    yield from _chunks(reported)


def _chunks(reported: Sequence[Any], name: str = "prices") -> Iterator[Chunk]:
    for start in range(0, len(reported), CHUNK):
        page = reported[start : start + CHUNK]
        yield Chunk({name: page}, len(page))


def again(items: Sequence[Any]) -> Iterator[Chunk]:
    """The failed items once more."""
    failed = [item for item in items if "price" in item.details]
    yield from _chunks([{"price": i.details["price"], **_seen(i)} for i in failed])


def _seen(item: Any) -> dict[str, Any]:
    """The before and after that the user saw; of a skipped item those it had then, so that it is skipped again."""
    if item.before is None:
        return {}
    kept: dict[str, Any] = item.details.get(SHOWN) or {"before": item.before, "after": item.after}
    return kept


def work(work: Work) -> None:
    """Change the prices of the chunk's customers, or in a dry run record what that changes."""
    if UNPRICED in work.payload:
        _skip_unpriced(work)
        return
    reported = {each["price"][0]: each for each in work.payload["prices"]}
    wanted = [NewPrice.of_json(each["price"]) for each in reported.values()]
    with work.transaction(is_last=True) as step, figures.session_over(step.connection) as session:
        if not work.asked.dry_run:
            # In id order, so that what is compared is what is changed.
            figures.hold(session, monthly, sorted(reported))
        for effect in effects_of(session, wanted):
            _change_price(work, step, session, effect, reported[effect.new.customer_id])


def _skip_unpriced(work: Work) -> None:
    """Record the customers without a price to change as skipped."""
    with work.transaction(is_last=True) as step:
        for customer in work.payload[UNPRICED]:
            step.item(CHANGE_PRICES, SKIPPED, owner=customer, error=NO_PRICE)
            step.tally.checked += 1
            step.tally.skipped += 1


def _change_price(
    work: Work, step: Step, session: Session, effect: PriceEffect, reported: Mapping[str, Any]
) -> None:
    """Change one customer's price, record the dry run's finding, or skip it where it changed since it was shown."""
    step.tally.checked += 1
    if effect.is_same and not effect.months and not effect.new.is_gone:
        step.tally.unchanged += 1
        return
    was, then = changes_of(effect)
    if work.asked.dry_run:
        _record(step, effect, FOUND)
        step.tally.changed += 1
    elif "before" in reported and (reported["before"], reported["after"]) != (was, then):
        _record(step, effect, SKIPPED, MOVED)
        step.tally.skipped += 1
    else:
        _apply(step, session, effect)


def _apply(step: Step, session: Session, effect: PriceEffect) -> None:
    try:
        with session.begin_nested():
            store(session, effect.new)
            figures.settle(session)
    except Refusal as refusal:
        was, then = changes_of(effect)
        error, shown = refusal.sentence % refusal.values, {"before": was, "after": then}
        _record(step, effect, ITEM_FAILED, error, shown=shown)
        step.tally.failed += 1
    else:
        _record(step, effect, APPLIED)
        step.tally.changed += 1


def changes_of(effect: PriceEffect) -> tuple[dict[str, Any], dict[str, Any]]:
    """The values that change, of the price and of its customer's totals, before and after, as an item stores them."""
    total, prices = effect.total, (effect.before, effect.after)
    pairs = {
        name: [None if price is None else f"{price[name]:.{decimals}f}" for price in prices]
        for name, decimals in (("price_per_sm3", 4), ("correction_factor", 6))
    } | {
        "purchases": [str(total.now.purchases), str(total.then.purchases)],
        "closing_balance": [str(total.now.closing), str(total.then.closing)],
    }
    changed = {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}
    was, then = ({name: pair[side] for name, pair in changed.items()} for side in (0, 1))
    return was, then


def _record(step: Step, effect: PriceEffect, outcome: str, error: str = "", **kept: Any) -> None:
    """Record an item; its amounts are the closing balances, and `kept` are details that a retry needs.

    What is neither found nor applied stays as it was.
    """
    was, then = changes_of(effect)
    now, later = effect.total.now.closing, effect.total.then.closing
    if outcome not in (FOUND, APPLIED):
        then, later = was, now
    step.item(
        CHANGE_PRICES, outcome, owner=effect.new.customer_id,
        before=was, after=then, error=error,
        details={"price": effect.new.as_json, "months": len(effect.months), **kept},
        amounts={
            "amount_before": now, "amount_after": later,
            "amount": later - now, "gross": abs(later - now),
        },
    )  # fmt: skip


def finish(connection: Connection, asked: Asked) -> Mapping[str, Any]:
    """The result: how many customers and months, and the total change of balances."""
    done = (ITEMS.c.run_id == asked.id, ITEMS.c.outcome.in_((FOUND, APPLIED)))
    months = func.coalesce(func.sum(ITEMS.c.details["months"].as_integer()), 0)
    amount = func.coalesce(func.sum(ITEMS.c.amount), 0)
    row = connection.execute(select(func.count(), months, amount).where(*done)).one()
    return {"customers": row[0], "months": int(row[1]), "difference": str(row[2])}
