"""The apostrophe before texts of CSV files that a spreadsheet would read as a formula; an import removes it again."""

FORMULA_STARTS = tuple("=+-@\t\r\n\0")
"""First characters that make a spreadsheet read a text as a formula; NUL never occurs in PostgreSQL's texts."""


def guarded(text: str) -> str:
    """`text` as a cell of a CSV file.

    A text that begins with the guard itself, as `'=1`, gets a second one, so that removing one gives every text back.
    """
    return f"'{text}" if is_formula(text) else text


def unguarded(cell: str) -> str:
    """The text of a cell that `guarded` wrote."""
    return cell[1:] if cell.startswith("'") and is_formula(cell) else cell


def is_formula(text: str) -> bool:
    """Whether a spreadsheet would read the text as a formula, but for apostrophes before it."""
    return text.lstrip("'").startswith(FORMULA_STARTS)
