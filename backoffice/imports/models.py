"""Uploads: their files, layouts, problems and outcomes."""

from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    DateTime,
    ForeignKey,
    Index,
    LargeBinary,
    Text,
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
    (SHA-256) for each; `digest` is that of all of them. `checks` counts the dry runs, so that only what
    was reviewed is applied. Without a `user_id` a program or a command has sent them: `sent_by`.

    Files that are processed line by line are applying while the run `run_id` does that. An earlier version charged
    those that are ended every month; no upload enters that state any more.
    """

    __tablename__ = "imports"
    __table_args__ = (
        CheckConstraint(
            "state IN ('uploaded','checked','applied','applying','ended')", name="state"
        ),
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

    user: Mapped[User | None] = relationship(foreign_keys=[user_id])
    applied_by: Mapped[User | None] = relationship(foreign_keys=[applied_by_id])


class ImportLine(Base):
    """One line of files that are processed line by line, and its outcome.

    `n` is its position among all, `values` its texts by known column. `outcome`: empty while it waits, `done`,
    `already` (it was done before, under the same key), `refused`: `message` with `params` is the reason, at `column`.
    `record_id` is the row that it created, for a charge the transaction, and `balance_after` the balance after it.
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
    """The bytes of one uploaded file, compressed. Removed when their retention ends."""

    __tablename__ = "import_contents"

    import_id: Mapped[int] = mapped_column(
        ForeignKey(Import.id, ondelete="CASCADE"), primary_key=True
    )
    place: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    content: Mapped[bytes] = mapped_column(LargeBinary)


class ImportProblem(Base):
    """A problem of a line from the last dry run; `file` counts the files from 0."""

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
    """The result of the last dry run or of the import: some changes, control totals, and the stored totals that move.

    `moved`: totals of records that existed before, see `Moved.as_dict`. `rows` are those that the lines of a dry run
    name (see `rows.Found`), until they are imported. NULL: an earlier version checked the files, which need another
    dry run.
    `must_be_whole`: the bad lines cannot be left out. `went_through`: the good lines can be imported.
    """

    __tablename__ = "import_outcomes"

    import_id: Mapped[int] = mapped_column(
        ForeignKey(Import.id, ondelete="CASCADE"), primary_key=True
    )
    sample: Mapped[list[dict[str, Any]]] = mapped_column(JSONB)
    totals: Mapped[list[list[str]]] = mapped_column(JSONB)
    moved: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default="{}", default=dict)
    rows: Mapped[list[Any] | None] = mapped_column(JSONB(none_as_null=True), deferred=True)
    must_be_whole: Mapped[bool]
    went_through: Mapped[bool]


class ImportLayout(Base):
    """The layout that a user last chose for files with this header."""

    __tablename__ = "import_layouts"

    user_id: Mapped[int] = mapped_column(ForeignKey(User.id, ondelete="CASCADE"), primary_key=True)
    kind: Mapped[str] = mapped_column(Text, primary_key=True)
    header: Mapped[str] = mapped_column(Text, primary_key=True)
    layout: Mapped[dict[str, Any]] = mapped_column(JSONB)
    used_at: Mapped[Moment]
