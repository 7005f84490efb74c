"""Uploaded files: what was sent, how it is to be read, what a dry run found, and what became of it."""

from datetime import date, datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    DateTime,
    ForeignKey,
    Index,
    LargeBinary,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column, relationship

from ..audit.models import ACTOR_DEFAULT
from ..base import Base, Id, Moment
from ..base.money import Money, no_nan
from ..people.models import User
from ..runs.models import Run


class Import(Base):
    """Files of one kind that a user uploaded to be imported together.

    `state`: uploaded, checked (a dry run has been made), applied. The counts are those of the dry
    run, and after `applied_at` those of the import. `files` has a name, a size in bytes and a digest
    (SHA-256) for each; `digest` is that of all of them. `checks` counts the dry runs, so that what
    is applied is what was looked at. Without a `user_id` a program or a command has sent them: `sent_by`.

    Files whose lines are each carried out by themselves are applying while `run_id` does that. Those that are
    repeating are carried out every month on the day `repeat_day`, or on its last one if it has fewer, from the month
    `repeat_from` on until they are ended; each time is an upload of its own, of the month `period`, that `repeats_id`.
    """

    __tablename__ = "imports"
    __table_args__ = (
        CheckConstraint(
            "state IN ('uploaded','checked','applied','applying','repeating','ended')", name="state"
        ),
        CheckConstraint("repeat_day BETWEEN 1 AND 31", name="repeat_day"),
        CheckConstraint(
            "(state IN ('repeating','ended')) = (repeat_day IS NOT NULL)", name="repeated"
        ),
        UniqueConstraint("repeats_id", "period"),
        Index("ix_imports_run_id", "run_id", postgresql_where=text("run_id IS NOT NULL")),
        Index("ix_imports_created_at_id", "created_at", "id"),
        Index("ix_imports_digest", "digest"),
    )

    id: Mapped[Id]
    kind: Mapped[str] = mapped_column(Text)
    name: Mapped[str] = mapped_column(Text)
    files: Mapped[list[dict[str, Any]]] = mapped_column(JSONB)
    digest: Mapped[str] = mapped_column(Text)
    state: Mapped[str] = mapped_column(Text, server_default="uploaded", default="uploaded")
    layout: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default="{}", default=dict)
    user_id: Mapped[int | None] = mapped_column(ForeignKey(User.id))
    sent_by: Mapped[str] = mapped_column(Text, server_default=text(ACTOR_DEFAULT))
    applied_by_id: Mapped[int | None] = mapped_column(ForeignKey(User.id))
    created_at: Mapped[Moment]
    checked_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    applied_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    checks: Mapped[int] = mapped_column(server_default="0", default=0)
    read: Mapped[int] = mapped_column(server_default="0", default=0)
    created: Mapped[int] = mapped_column(server_default="0", default=0)
    updated: Mapped[int] = mapped_column(server_default="0", default=0)
    removed: Mapped[int] = mapped_column(server_default="0", default=0)
    unchanged: Mapped[int] = mapped_column(server_default="0", default=0)
    bad_lines: Mapped[int] = mapped_column(server_default="0", default=0)
    run_id: Mapped[int | None] = mapped_column(ForeignKey(Run.id))
    repeat_day: Mapped[int | None]
    repeat_from: Mapped[date | None]
    repeats_id: Mapped[int | None] = mapped_column(ForeignKey("imports.id"))
    period: Mapped[date | None]

    user: Mapped[User | None] = relationship(foreign_keys=[user_id])
    applied_by: Mapped[User | None] = relationship(foreign_keys=[applied_by_id])


class ImportLine(Base):
    """One line of files whose lines are each carried out by themselves, and what became of it.

    `n` is its place among all, `values` what it says by our columns. `outcome`: empty until it was its turn, `done`,
    `already` (it was done before, under the same key), `refused`: `message` with `params` says why, at `column`.
    `record_id` is the row that it has made, of a charge the transaction, and `balance_after` what it left.
    """

    __tablename__ = "import_lines"
    __table_args__ = (
        CheckConstraint("outcome IN ('', 'done', 'already', 'refused')", name="outcome"),
        no_nan("balance_after"),
    )

    import_id: Mapped[int] = mapped_column(
        ForeignKey(Import.id, ondelete="CASCADE"), primary_key=True
    )
    n: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    file: Mapped[int]
    line: Mapped[int]
    values: Mapped[dict[str, str | None]] = mapped_column(JSONB)
    outcome: Mapped[str] = mapped_column(Text, server_default="", default="")
    record_id: Mapped[int | None] = mapped_column(BigInteger)
    balance_after: Mapped[Money | None]
    column: Mapped[str] = mapped_column(Text, server_default="", default="")
    message: Mapped[str] = mapped_column(Text, server_default="", default="")
    params: Mapped[dict[str, str]] = mapped_column(JSONB, server_default="{}", default=dict)


class ImportContent(Base):
    """The bytes of one uploaded file, compressed. Removed when nobody will ask for them any more."""

    __tablename__ = "import_contents"

    import_id: Mapped[int] = mapped_column(
        ForeignKey(Import.id, ondelete="CASCADE"), primary_key=True
    )
    place: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    content: Mapped[bytes] = mapped_column(LargeBinary)


class ImportProblem(Base):
    """What the last dry run found wrong in a line; `file` counts the files from 0."""

    __tablename__ = "import_problems"

    import_id: Mapped[int] = mapped_column(
        ForeignKey(Import.id, ondelete="CASCADE"), primary_key=True
    )
    n: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    file: Mapped[int]
    line: Mapped[int]
    column: Mapped[str] = mapped_column(Text)
    message: Mapped[str] = mapped_column(Text)
    params: Mapped[dict[str, str]] = mapped_column(JSONB)


class ImportOutcome(Base):
    """What the last dry run, or the import, did: some of its changes, sums over the lines, and the totals that move.

    `moved`: of records that were there before, see `Moved.as_dict`. `fingerprint` sums up all changes, so that an
    import which would do anything else is noticed.
    `must_be_whole`: the bad lines cannot be left out. `went_through`: the good ones can come in.
    """

    __tablename__ = "import_outcomes"

    import_id: Mapped[int] = mapped_column(
        ForeignKey(Import.id, ondelete="CASCADE"), primary_key=True
    )
    sample: Mapped[list[dict[str, Any]]] = mapped_column(JSONB)
    totals: Mapped[list[list[str]]] = mapped_column(JSONB)
    moved: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default="{}", default=dict)
    fingerprint: Mapped[str] = mapped_column(Text)
    must_be_whole: Mapped[bool]
    went_through: Mapped[bool]


class ImportLayout(Base):
    """How a user last said that files with this header are to be read."""

    __tablename__ = "import_layouts"

    user_id: Mapped[int] = mapped_column(ForeignKey(User.id, ondelete="CASCADE"), primary_key=True)
    kind: Mapped[str] = mapped_column(Text, primary_key=True)
    header: Mapped[str] = mapped_column(Text, primary_key=True)
    layout: Mapped[dict[str, Any]] = mapped_column(JSONB)
    used_at: Mapped[Moment]
