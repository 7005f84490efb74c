"""What an account manager is to sell in a month, and what the stored figure says was sold."""

from datetime import date
from decimal import Decimal

from sqlalchemy import (
    CheckConstraint,
    ColumnElement,
    ForeignKey,
    Index,
    UniqueConstraint,
    false,
    func,
    text,
)
from sqlalchemy.orm import ColumnProperty, Mapped, column_property, mapped_column, relationship

from ..base import N_, Base, Id, Moment
from ..base.identifiers import whole_number
from ..base.money import Money, no_nan
from ..base.periods import Month
from ..people.models import User


class _OfCode(ColumnProperty.Comparator[str]):
    """A code is looked for by what it is made of, which is indexed."""

    def __eq__(self, code: object) -> ColumnElement[bool]:  # type: ignore[override]
        number, _slash, month = str(code).partition("/")
        try:
            manager_id, first = whole_number(number), Month.parse(month).first
        except ValueError:
            return false()
        is_code = code == code_of(manager_id, Month.of(first))
        row = AccountManagerTarget
        meant = (row.account_manager_id == manager_id) & (row.month == first)
        return meant if is_code else false()

    __hash__ = None  # type: ignore[assignment]


class AccountManagerTarget(Base):
    """One manager's month. All amounts are in the deployment's currency.

    `target` is entered; null where nobody has set one. `achieved` and `orders_closed` are figures:
    the grand totals and the number of the orders that the manager closed in that month.
    """

    __tablename__ = "account_manager_targets"
    __table_args__ = (
        UniqueConstraint("account_manager_id", "month"),
        CheckConstraint("extract(day FROM month) = 1", name="first_of_month"),
        no_nan("target", "achieved"),
        Index("ix_account_manager_targets_month", "month"),
    )

    id: Mapped[Id]
    account_manager_id: Mapped[int] = mapped_column(ForeignKey(User.id))
    month: Mapped[date] = mapped_column(info={"label": N_("Month")})
    target: Mapped[Money | None] = mapped_column(info={"label": N_("Target")})
    achieved: Mapped[Money] = mapped_column(
        server_default="0", default=Decimal(0), info={"label": N_("Achieved")}
    )
    orders_closed: Mapped[int] = mapped_column(
        server_default=text("0"), default=0, info={"label": N_("Orders closed")}
    )
    version: Mapped[int] = mapped_column(server_default=text("1"), default=1)
    created_at: Mapped[Moment]
    updated_at: Mapped[Moment]

    account_manager: Mapped[User] = relationship()
    code: Mapped[str] = column_property(
        func.concat(account_manager_id, "/", func.to_char(month, "YYYY-MM")),
        comparator_factory=_OfCode,
    )
    """The manager's number and the month, by which addresses and programs name it: 7/2026-03."""


def code_of(manager_id: int, month: Month) -> str:
    """What addresses and programs call a manager's month, whether it has a row or not."""
    return f"{manager_id}/{month}"
