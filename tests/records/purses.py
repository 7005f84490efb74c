"""A test domain, the smallest with verbs that create rows: purses, and the payments into and out of them.

It has tables of its own, so that those of the app stay as the migrations declare them.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal

from sqlalchemy import ForeignKey, MetaData, Text, UniqueConstraint, create_engine, select
from sqlalchemy.orm import Mapped, Session, mapped_column, registry

from backoffice.app.domain import Domain
from backoffice.base import N_, NAMING, Base, Id
from backoffice.base.money import Money
from backoffice.base.refusals import KeyUsedOtherwise, Refusal
from backoffice.lists import Choice, Column, List
from backoffice.records import Amount, Contents, Law, Record, Repeated, Values, Verb, actions
from backoffice.records import Text as Words


class OfTheTest(Base):
    __abstract__ = True
    metadata = MetaData(naming_convention=NAMING)
    registry = registry(metadata=metadata)


class Purse(OfTheTest):
    __tablename__ = "purses"

    id: Mapped[Id]
    name: Mapped[str] = mapped_column(Text, unique=True)
    holds: Mapped[Money] = mapped_column(default=0)
    version: Mapped[int] = mapped_column(server_default="1", default=1)


class Entry(OfTheTest):
    __tablename__ = "purse_entries"
    __table_args__ = (UniqueConstraint("purse_id", "key"),)

    id: Mapped[Id]
    purse_id: Mapped[int] = mapped_column(ForeignKey(Purse.id))
    amount: Mapped[Money]
    what: Mapped[str] = mapped_column(Text)
    key: Mapped[str | None] = mapped_column(Text)


class TooLittle(Refusal):
    """A payment above the balance of the purse."""

    sentence = N_("The purse holds %(holds)s.")
    status = 402
    field = "amount"
    type = "https://example.com/too-little"
    members = ("holds",)


def pay(session: Session, purse_id: int, _version: int, values: Values) -> Entry | Repeated:
    """Pay out of a purse."""
    return _book(session, purse_id, -values["amount"], values)


def fill(session: Session, purse_id: int, _version: int, values: Values) -> Entry | Repeated:
    """Pay into a purse."""
    return _book(session, purse_id, values["amount"], values)


def _book(session: Session, purse_id: int, amount: Decimal, values: Values) -> Entry | Repeated:
    purse = actions.locked(session, Purse, [purse_id])[purse_id]
    same = select(Entry).filter_by(purse_id=purse_id, key=values["key"])
    if values["key"] is not None and (first := session.scalar(same)) is not None:
        if (first.amount, first.what) != (amount, values["what"]):
            raise KeyUsedOtherwise()
        return Repeated(first)
    if purse.holds + amount < 0:
        raise TooLittle(holds=purse.holds)
    purse.holds += amount
    made = Entry(purse_id=purse_id, amount=amount, what=values["what"], key=values["key"])
    session.add(made)
    session.flush()
    return made


FIELDS = (
    Amount(
        Entry.amount, N_("Amount"), minimum=None, required=N_("Enter an amount."),
        laws=(Law(lambda amount: amount > 0, "Enter an amount above zero."),),
    ),
    Words(Entry.what, N_("Description")),
)  # fmt: skip

ENTRY = Record(
    Entry, name=Entry.id, domain="purse_entries", title=N_("Details"), many=N_("Details"), reads="customers.read",
    fields=FIELDS, append_only=True,
    listing=lambda _user: List(
        "purse_entries", N_("Details"), "purse_entries.index",
        rows=lambda _user: select().select_from(Entry), key=Entry.id,
        columns=(Column("id", "Id", Entry.id, kind="number"), Column("amount", "Amount", Entry.amount, total=True)),
        default_sort="id",
        filters=(Choice("sign", "Sign", {"in": ("in", Entry.amount > 0), "out": ("out", Entry.amount < 0)}),),
    ),
)  # fmt: skip

BOOKING = {
    "question": N_("Delete %(name)s?"),
    "done": N_("%(name)s is saved."),
    "fields": FIELDS,
    "creates": ENTRY,
}

PURSE = Record(
    Purse, name=Purse.name, domain="purses", title=N_("Details"), many=N_("Details"), new=N_("Details"),
    reads="customers.read", writes="customers.write",
    fields=(Words(Purse.name, N_("Name"), required=N_("Enter a name."), taken=N_("Taken.")),),
    kept=(Amount(Purse.holds, N_("Amount")),),
    contents=(Contents("entries", ENTRY, Entry.purse_id),),
    verbs=(
        Verb("fill", N_("Pay in"), fill, key="key", at="fillings", for_people=False, **BOOKING),
        Verb("pay", N_("Pay out"), pay, key="key", at="payments", raises=(TooLittle,), **BOOKING),
    ),
)  # fmt: skip

DOMAIN = Domain("purses", records=(PURSE, ENTRY))


@contextmanager
def tables(url: str) -> Iterator[None]:
    """Their tables, while they are needed; `url` is that of the role that owns tables."""
    engine = create_engine(url.replace("postgresql://", "postgresql+psycopg://", 1))
    with engine.begin() as connection:
        OfTheTest.metadata.create_all(connection)
        for table in OfTheTest.metadata.sorted_tables:
            connection.exec_driver_sql(
                f"GRANT SELECT, INSERT, UPDATE ON {table.name} TO backoffice_app"
            )
    yield
    with engine.begin() as connection:
        OfTheTest.metadata.drop_all(connection)
    engine.dispose()
