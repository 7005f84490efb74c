"""The report of an import, for people and for programs."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..drift.healing.moved import Moved


@dataclass(frozen=True, slots=True)
class Problem:
    """A problem in one line. `message` is a translatable sentence with `params`."""

    file: str
    line: int
    column: str
    message: str
    params: Mapping[str, str] = field(default_factory=dict)

    @property
    def sentence(self) -> str:
        """The sentence in English."""
        return self.message % self.params


@dataclass
class Report:
    """The result of one import. With problems, nothing was changed, unless bad lines were left out.

    `created`, `updated` and `removed` count rows; a dry run counts what it would have done.
    `must_be_whole`: bad lines cannot be left out of these files.
    """

    kind: str
    files: tuple[str, ...]
    dry_run: bool
    skip_bad_lines: bool = False
    read: int = 0
    created: int = 0
    updated: int = 0
    removed: int = 0
    unchanged: int = 0
    moved: Moved = field(default_factory=Moved)
    """The stored totals that change with it."""
    problems: list[Problem] = field(default_factory=list)
    must_be_whole: bool = False
    went_through: bool = False
    """Whether the lines that are not bad could be imported."""
    is_applied: bool = False
    """Whether the files, or their good lines, are now in the database."""

    @property
    def bad_lines(self) -> int:
        """How many lines have a problem."""
        return len({(problem.file, problem.line) for problem in self.problems})

    def as_dict(self) -> dict[str, Any]:
        """The report as one JSON object."""
        return {
            "kind": self.kind,
            "files": list(self.files),
            "dry_run": self.dry_run,
            "applied": self.is_applied,
            "read": self.read,
            "created": self.created,
            "updated": self.updated,
            "removed": self.removed,
            "unchanged": self.unchanged,
            "bad_lines": self.bad_lines,
            "totals": self.moved.as_dict(),
            "problems": [
                {"file": p.file, "line": p.line, "column": p.column, "message": p.sentence}
                for p in self.problems
            ],
        }
