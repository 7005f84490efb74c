"""Customers: the parties that orders, meters and wallets belong to."""

from sqlalchemy import Text
from sqlalchemy.orm import Mapped, mapped_column

from ..base import Base, Id, Moment


class Customer(Base):
    """A party that buys. `code` is the name by which files and people refer to it."""

    __tablename__ = "customers"

    id: Mapped[Id]
    code: Mapped[str] = mapped_column(Text, unique=True)
    name: Mapped[str] = mapped_column(Text)
    contact_name: Mapped[str] = mapped_column(Text, server_default="")
    phone: Mapped[str] = mapped_column(Text, server_default="")
    city: Mapped[str] = mapped_column(Text, server_default="")
    country: Mapped[str] = mapped_column(Text, server_default="")
    created_at: Mapped[Moment]
