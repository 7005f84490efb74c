"""Monthly targets of account managers: the entered target, and the figures of what was achieved."""

from datetime import date
from decimal import Decimal

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from ..base import N_, Base, Id, Moment
from ..base.codes import code_of
from ..base.money import Money, no_nan
from ..people.models import User


class AccountManagerTarget(Base):
    """One manager's month. All amounts are in the deployment's currency.

    `target` is entered; null where none is set. `achieved` and `orders_closed` are figures: the sum of
    the grand totals, and the number, of the orders that the manager closed in that month.
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
    code: Mapped[str] = code_of(account_manager_id, month, is_day=True)
    """The manager's id and the month, the record's key in addresses and in the API: 7/2026-03."""
