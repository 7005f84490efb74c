"""One careless change of the code."""

from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Mutant:
    """In `file`, the text `before`, which occurs once, becomes `after`; then one of `tests` fails.

    `tests` are pytest node ids. `harmless` says why the change alters nothing; then it is not tried.
    """

    name: str
    file: str
    before: str
    after: str
    tests: tuple[str, ...]
    harmless: str = ""

    def changed(self, text: str) -> str:
        """Return the file's text with the change; raise ValueError if `before` does not occur exactly once."""
        if (occurrences := text.count(self.before)) != 1:
            raise ValueError(f"{self.file} has {occurrences} times: {self.before!r}")
        return text.replace(self.before, self.after)
