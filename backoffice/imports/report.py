"""What an import says of itself: to people and to programs."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Problem:
    """What is wrong in one line. `message` is a translatable sentence, filled with `params`."""

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
    """The outcome of one import. With problems, nothing was changed.

    `created`, `updated` and `removed` count rows; a dry run counts what it would have done.
    """

    kind: str
    files: tuple[str, ...]
    dry_run: bool
    read: int = 0
    created: int = 0
    updated: int = 0
    removed: int = 0
    unchanged: int = 0
    problems: list[Problem] = field(default_factory=list)

    @property
    def is_applied(self) -> bool:
        """Whether the database now holds what the files say."""
        return not self.problems and not self.dry_run

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
            "problems": [
                {"file": p.file, "line": p.line, "column": p.column, "message": p.sentence}
                for p in self.problems
            ],
        }
