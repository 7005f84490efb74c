"""Verifies and heals the stored balances of wallets, and reports the result wallet by wallet.

It is the verification and the heal of figures, for wallets alone. A wallet with a fact that differs from the audit
trail, or with inconsistent balances before and after, is reported and not healed.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from .. import figures
from ..base import N_
from ..drift.healing import performing
from ..figures.errors import AnotherDefinition
from ..runs.errors import EndedBadly
from .figures import WALLET_FIGURES, running
from .models import Wallet

SYNCED, MISMATCH, FIXED, ERROR = "synced", "mismatch", "fixed", "error"

LEFT = N_("It could not be corrected. `backoffice figures verify` says more.")


@dataclass(frozen=True)
class WalletDetail:
    """One wallet: its stored balance, the actual one by its transactions, and what else differs.

    `columns` are its figures that differ, each with the stored and the actual amount; `transactions` counts those with
    a wrong balance before or after. Amounts are in the deployment's currency.
    """

    wallet: int
    number: str
    user: int
    status: str
    stored: Decimal
    actual: Decimal
    columns: Mapping[str, tuple[Decimal, Decimal]] = field(default_factory=dict)
    transactions: int = 0

    @property
    def difference(self) -> Decimal:
        """The stored balance less the actual one."""
        return self.stored - self.actual

    def as_dict(self) -> dict[str, Any]:
        """For JSON; amounts as texts."""
        return {
            "wallet_id": self.wallet, "number": self.number, "user_id": self.user, "status": self.status,
            "stored_balance": str(self.stored), "actual_balance": str(self.actual), "difference": str(self.difference),
            "columns": {
                name: {"stored_amount": str(stored), "actual_amount": str(actual)}
                for name, (stored, actual) in self.columns.items()
            },
            "transactions": self.transactions,
        }  # fmt: skip


@dataclass(frozen=True)
class SyncResult:
    """The result of verifying or healing wallets; `errors` are pairs of a wallet's number and a sentence."""

    details: Sequence[WalletDetail]
    errors: Sequence[tuple[str, str]] = ()

    def count(self, status: str) -> int:
        """How many wallets have this status."""
        return sum(detail.status == status for detail in self.details)

    @property
    def wrong(self) -> Sequence[WalletDetail]:
        """The wallets that differ, or differed, from their transactions, the largest difference first."""
        differing = (detail for detail in self.details if detail.status != SYNCED)
        return sorted(differing, key=lambda d: (-abs(d.difference), d.wallet))

    @property
    def is_clean(self) -> bool:
        """Whether every wallet is right now."""
        return self.count(SYNCED) + self.count(FIXED) == len(self.details)

    def as_dict(self) -> dict[str, Any]:
        """For JSON, in the documented shape."""
        return {
            "checked": len(self.details), "synced": self.count(SYNCED), "fixed": self.count(FIXED),
            "errors": [{"number": number, "error": error} for number, error in self.errors],
            "details": [detail.as_dict() for detail in self.details],
        }  # fmt: skip


def verify(engine: Engine, wallets: Collection[int] | None = None) -> SyncResult:
    """Compare the stored figures of these wallets (None: all) with their transactions. Writes nothing."""
    found = figures.verify(engine, WALLET_FIGURES, wallets)
    return _result(engine, wallets, ((f.figure.name, f.owner, f.stored, f.expected) for f in found))


def record(engine: Engine, wallets: Sequence[int] | None = None) -> tuple[SyncResult, str]:
    """As `verify`, but findings are recorded, or closed. Also returns why they could not be recorded.

    Raises EndedBadly where the run that records them did not end well, and AnotherDefinition.
    """
    if wallets is not None and not wallets:
        return SyncResult([]), ""
    verified = performing.verify(engine, WALLET_FIGURES, wallets)
    if verified.run is not None and not verified.run.is_completed:
        raise EndedBadly(verified.run)
    if verified.not_ours:
        raise AnotherDefinition(verified.not_ours)
    names = ("figure", "owner", "stored", "expected")
    found = (tuple(one[name] for name in names) for one in verified.findings)
    return _result(engine, wallets, found), verified.unrecorded


def _result(
    engine: Engine, wallets: Collection[int] | None, found: Iterable[tuple[Any, ...]]
) -> SyncResult:
    """Each wallet with what was found of it: the figure's name, the owner, and the stored and expected amounts."""
    wrong: dict[int, dict[str, tuple[Decimal, Decimal]]] = defaultdict(dict)
    transactions: dict[int, int] = defaultdict(int)
    for figure, owner, stored, expected in found:
        if figure == running.name:
            transactions[owner] += 1
            continue
        for name, amount in stored.items():
            wrong[owner][name] = Decimal(amount), Decimal(expected[name])
    rows = select(Wallet.id, Wallet.number, Wallet.customer_id, Wallet.balance).order_by(Wallet.id)
    if wallets is not None:
        rows = rows.where(Wallet.id.in_(wallets))
    details = []
    with Session(engine) as session:
        for wallet, number, customer, balance in session.execute(rows):
            columns = wrong.get(wallet, {})
            stored, actual = columns.get("balance", (balance, balance))
            differs = columns or wallet in transactions
            details.append(
                WalletDetail(
                    wallet, number, customer, MISMATCH if differs else SYNCED, stored, actual,
                    columns, transactions.get(wallet, 0),
                )
            )  # fmt: skip
    return SyncResult(details)


def fix(engine: Engine, wallets: Collection[int] | None = None, *, reason: str = "") -> SyncResult:
    """Heal what differs, each with a correction. Raises AlreadyRunning."""
    return _corrected(engine, wallets, reason, is_rebuild=False)


def rebuild(
    engine: Engine, wallets: Collection[int] | None = None, *, reason: str = ""
) -> SyncResult:
    """Recompute these wallets (None: all) from their transactions, and write what differs. Raises AlreadyRunning."""
    return _corrected(engine, wallets, reason, is_rebuild=True)


def discrepancies(engine: Engine) -> Sequence[WalletDetail]:
    """The wallets that differ from their transactions, the largest difference first."""
    return verify(engine).wrong


def _corrected(
    engine: Engine, wallets: Collection[int] | None, reason: str, *, is_rebuild: bool
) -> SyncResult:
    before = verify(engine, wallets)
    done = performing.heal(engine, WALLET_FIGURES, wallets, every_owner=is_rebuild, reason=reason)
    why = {owner: error for _subject, owner, error in done.failures if owner is not None}
    still = {d.wallet for d in verify(engine, wallets).details if d.status != SYNCED}
    details, errors = [], []
    for detail in before.details:
        status = detail.status
        if detail.wallet in still:
            status = ERROR
            errors.append((detail.number, why.get(detail.wallet, LEFT)))
        elif status == MISMATCH:
            status = FIXED
        details.append(replace(detail, status=status))
    return SyncResult(details, errors)
