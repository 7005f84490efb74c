"""`import wallet-charges`: charges of services to many wallets at once.

Each line is charged, or refused, as if it came alone, in the order of the file: a charge reduces the balance for the
lines after it, a refused one does not. The idempotency key of a line is unique for ever: a key that was charged
before is not charged again, so the same file again charges nothing twice.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    ColumnElement,
    Numeric,
    Select,
    Subquery,
    Table,
    Text,
    and_,
    case,
    cast,
    func,
    literal,
    or_,
    select,
)
from sqlalchemy.dialects.postgresql import insert

from ...base import N_, table_of
from ...base.refusals import KeyUsedOtherwise
from ...wallets.models import Wallet, WalletTransaction
from ...wallets.refusals import REFUSED_BY, InsufficientBalance
from ...wallets.rules import ACTIVE, CHARGE, NUMBER_LENGTH, TEXT_LENGTH, moved_by
from ..files import cells
from ..files.reading import ImportColumn
from ..files.stage import Stage
from ..report import Problem
from .base import Changes, ImportKind
from .billing import at, changed_concurrently, lock

DESCRIPTIVE = ("service_type", "description", "reference")
"""Optional columns of a charge, beside its amount and wallet."""

SAME = ("wallet_id", "amount", *DESCRIPTIVE)
"""The columns in which a repetition of a key must be equal."""

COLUMNS = (
    ImportColumn("wallet_id", cells.text(NUMBER_LENGTH), Text()),
    ImportColumn("amount", cells.positive_amount, Numeric(15, 2)),
    *(
        ImportColumn(name, cells.text(TEXT_LENGTH), Text(), required=False, may_be_empty=True)
        for name in DESCRIPTIVE
    ),
    ImportColumn("idempotency_key", cells.text(255), Text()),
)


NAMES_TWO = N_(
    "%(value)s names two wallets: it is the number of one and the id of another. Write the id of the one, or the "
    "number of the other."
)


def _named(stage: Stage) -> Subquery:
    """Each wallet that the lines name, by number, else by id; and whether another wallet has that id."""
    names = select(stage.c.wallet_id.label("name")).distinct().subquery()
    by_number = select(Wallet.id).where(Wallet.number == names.c.name).scalar_subquery()
    key = case((names.c.name.regexp_match("^[0-9]{1,18}$"), cast(names.c.name, BigInteger)))
    by_id = select(Wallet.id).where(Wallet.id == key).scalar_subquery()
    found = select(names.c.name, by_number.label("by_number"), by_id.label("by_id"))
    c = found.offset(0).subquery().c  # else PostgreSQL evaluates the subqueries repeatedly
    names_two = func.coalesce(c.by_number != c.by_id, literal(False)).label("names_two")
    return select(
        c.name, func.coalesce(c.by_number, c.by_id).label("wallet_id"), names_two
    ).subquery()


def _lines(stage: Stage) -> Subquery:
    """Each line with its wallet, and with the earlier transaction of its key."""
    c, tx, named = stage.c, WalletTransaction, _named(stage)
    said = {name: func.coalesce(c[name] if stage.has(name) else None, "") for name in DESCRIPTIVE}
    own = {"wallet_id": named.c.wallet_id, "amount": c.amount, **said}
    is_same = and_(
        tx.transaction_type == CHARGE, *(getattr(tx, name) == own[name] for name in SAME)
    )
    wallets = stage.lines.join(named, named.c.name == c.wallet_id).outerjoin(
        Wallet, Wallet.id == named.c.wallet_id
    )
    return (
        select(
            c.n, c.file, c.line, c.idempotency_key, c.wallet_id.label("name"),
            *(value.label(name) for name, value in own.items()),
            named.c.names_two, Wallet.number, Wallet.status, Wallet.balance,
            tx.id.is_not(None).label("is_used"),
            func.coalesce(is_same, literal(False)).label("was_charged"),
        )
        .select_from(wallets)
        .outerjoin(tx, tx.idempotency_key == c.idempotency_key)
        .subquery()
    )  # fmt: skip


def _with_outcomes(stage: Stage) -> Select[Any]:
    """The outcome of each line: the first of a key is charged if the balance at its turn covers it.

    An equal line of the same key has the outcome of the first. A different one is a rival: refused, unless the first
    is refused.
    """
    lines = _lines(stage)
    c = lines.c
    by_key: dict[str, Any] = {"partition_by": c.idempotency_key, "order_by": c.n}
    first = {name: func.first_value(c[name]).over(**by_key) for name in SAME}
    is_rival = or_(*(c[name].is_distinct_from(value) for name, value in first.items()))
    seen = select(
        *c, is_rival.label("is_rival"), (func.row_number().over(**by_key) == 1).label("is_first")
    ).subquery()
    may_take = seen.c.is_first & ~seen.c.is_used & ~seen.c.names_two & (seen.c.status == ACTIVE)
    takes = case((may_take, seen.c.amount), else_=0)
    in_order: dict[str, Any] = {"partition_by": seen.c.wallet_id, "order_by": seen.c.n}
    left = func.wallet_left(seen.c.balance, takes, type_=Numeric(15, 2)).over(**in_order)
    turns = select(*seen.c, takes.label("takes"), left.label("left")).subquery()
    in_order = {"partition_by": turns.c.wallet_id, "order_by": turns.c.n}
    held = (
        func.lag(turns.c.left, 1, turns.c.balance, type_=Numeric(15, 2))
        .over(**in_order)
        .label("held")
    )
    held_then = select(*turns.c, held).subquery()
    is_new = (held_then.c.takes > 0) & (held_then.c.takes <= held_then.c.held)
    decided = select(*held_then.c, is_new.label("is_new")).subquery()
    goes_through = func.first_value(decided.c.is_new | decided.c.was_charged, type_=Boolean).over(
        partition_by=decided.c.idempotency_key, order_by=decided.c.n
    )
    return select(*decided.c, goes_through.label("first_goes_through"))


def _check(stage: Stage) -> Iterator[Problem]:
    """The problems of refused lines.

    If the first line of a key is refused, its rival may be charged: lines after that one are checked once the refused
    ones are removed.
    """
    lock(stage, select(_named(stage).c.wallet_id), Wallet)
    lines = stage.lay_out(_with_outcomes(stage))
    c = lines.c
    may_be_charged = c.is_rival & ~c.first_goes_through & ~c.is_used
    open_from = select(func.min(c.n)).where(may_be_charged).scalar_subquery()
    refusable = at(lines, c.name.label("value"), c.number, c.held.label("balance"), c.amount)
    refusable = refusable.where(c.n < func.coalesce(open_from, c.n + 1), ~c.was_charged)
    is_another = c.is_used | c.is_rival
    is_known = c.wallet_id.is_not(None) & ~c.names_two
    is_first = is_known & ~is_another
    wrong = (
        (c.wallet_id.is_(None), "wallet_id", N_("There is no wallet %(value)s.")),
        (c.names_two, "wallet_id", NAMES_TWO),
        (is_known & is_another, "idempotency_key", KeyUsedOtherwise.sentence),
        *(
            (is_first & (c.status == status), "wallet_id", refusal.sentence)
            for (status, kind), refusal in REFUSED_BY.items()
            if kind == CHARGE
        ),
        (
            is_first & (c.status == ACTIVE) & ~c.first_goes_through,
            "amount",
            InsufficientBalance.sentence,
        ),
    )
    for lines_of_it, column, sentence in wrong:
        yield from stage.problems(refusable.where(lines_of_it), column, sentence)


def _apply(stage: Stage) -> Changes:
    """Insert the charges in the order of the file, each with the balance before and after it."""
    c = stage.wanted.c
    moved = moved_by(literal(CHARGE), c.amount)
    after = c.balance + func.sum(moved).over(partition_by=c.wallet_id, order_by=c.n)
    values: Mapping[str, ColumnElement[Any]] = {
        "transaction_type": literal(CHARGE), "idempotency_key": c.idempotency_key,
        **{name: c[name] for name in SAME}, "balance_before": after - moved, "balance_after": after,
    }  # fmt: skip
    rows = select(*(value.label(name) for name, value in values.items()))
    made = insert(WalletTransaction).from_select(
        list(values), rows.where(c.is_new).order_by(c.n), include_defaults=False
    )
    made = made.on_conflict_do_nothing(index_elements=[WalletTransaction.idempotency_key])
    written = made.returning(WalletTransaction.id).cte("written")
    return Changes(stage.session.scalars(select(func.count()).select_from(written)).one(), 0)


def _check_concurrent(stage: Stage) -> Iterator[Problem]:
    """Problems of lines with a key that was used meanwhile for another wallet."""
    c, tx = stage.wanted.c, WalletTransaction
    is_there = (tx.idempotency_key == c.idempotency_key) & (tx.wallet_id == c.wallet_id)
    lines = at(stage.wanted).where(c.is_new, ~select(tx.id).where(is_there).exists())
    yield from changed_concurrently(stage, lines)


def _totals(stage: Stage) -> Mapping[str, ColumnElement[Any]]:
    return {N_("Amount"): func.sum(stage.c.amount)}


def _results(stage: Stage) -> Select[Any]:
    """The outcome of each line that was not refused, with its transaction, made now or earlier."""
    c, tx = stage.wanted.c, WalletTransaction
    outcome = case((c.is_new, literal("done")), else_=literal("already"))
    reported = select(
        c.n,
        outcome.label("outcome"),
        tx.id.label("record_id"),
        tx.balance_after.label("balance_after"),
    )
    return reported.join_from(stage.wanted, tx, tx.idempotency_key == c.idempotency_key)


def _wallets(stage: Stage) -> Iterator[tuple[Table, int]]:
    """The wallets with new charges."""
    c = stage.wanted.c
    charged = select(c.wallet_id).where(c.is_new).distinct()
    return ((table_of(Wallet), key) for key in stage.session.scalars(charged).all())


KIND = ImportKind(
    "wallet-charges",
    COLUMNS,
    _check,
    _apply,
    _check_concurrent,
    totals=_totals,
    sent_by="wallets",
    results=_results,
    key="idempotency_key",
    moved_at_once=_wallets,
)
