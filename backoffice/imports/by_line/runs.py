"""The kind of run that processes files line by line."""

from typing import TYPE_CHECKING

from ...base import N_
from ...base.late import Late
from ...runs.kinds import RunKind

if TYPE_CHECKING:
    from . import chunks
else:
    chunks = Late("backoffice.imports.by_line.chunks")

LINES = RunKind(
    "imports.lines", N_("Carry out files line by line"), "imports.run",
    chunks.plan, chunks.work, chunks.finish, report="imports.of_run", is_bulk=True,
)  # fmt: skip

SCOPES = (("import", N_("the lines of one upload")),)

KINDS = (LINES,)
