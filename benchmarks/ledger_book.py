"""A posted journal of any size on 200 accounts, loaded with triggers disabled; stored sums match the lines.

Every entry is posted for a document, and a quarter of the lines are of one control account, as in a company that
posts by rules. The documents do not exist: their sums would be the same on both sides of every comparison.
"""

from datetime import date
from typing import Any

from psycopg import Connection

ACCOUNTS = 200
CONTROL = 5
"""The id of the asset account that is the control account of receivables."""
OF_ENTRY = 4
"""The number of lines of each entry."""

_FILL = (
    (
        "INSERT INTO accounts (code, name, type, role) SELECT 'A' || n, 'Account ' || n, "
        "(ARRAY['asset', 'liability', 'equity', 'revenue', 'expense'])[1 + n %% 5], "
        "CASE n WHEN %(control)s THEN 'receivables' ELSE '' END "
        "FROM generate_series(1, %(accounts)s) n"
    ),
    (
        "INSERT INTO journal_entries (number, entry_date, status, posting_number, document, document_date) "
        "SELECT 'B-' || n, %(last)s::date - n %% %(days)s, 'posted', n, 'invoices/' || n, "
        "%(last)s::date - n %% %(days)s FROM generate_series(1, %(entries)s) n"
    ),
    (
        "INSERT INTO journal_lines (entry_id, account_id, debit, credit, position, posted_on) "
        "SELECT e.id, CASE s WHEN 0 THEN %(control)s ELSE 1 + (e.id * 7 + s * 13) %% %(accounts)s END, "
        "CASE WHEN s < 2 THEN 1 + e.id %% 1000 ELSE 0 END, "
        "CASE WHEN s < 2 THEN 0 ELSE 1 + e.id %% 1000 END, s, e.entry_date "
        "FROM journal_entries e, generate_series(0, %(of_entry)s - 1) s"
    ),
    (
        "UPDATE accounts a SET debits = l.debits, credits = l.credits FROM (SELECT account_id, sum(debit) AS debits, "
        "sum(credit) AS credits FROM journal_lines GROUP BY account_id) l WHERE l.account_id = a.id"
    ),
)


def load(connection: Connection[Any], lines: int, last: date, days: int) -> None:
    """Fill the empty tables of the ledger: so many lines, spread over `days` days up to the last one."""
    given = {
        "accounts": ACCOUNTS, "control": CONTROL, "entries": lines // OF_ENTRY, "of_entry": OF_ENTRY,
        "last": last, "days": days,
    }  # fmt: skip
    with connection.transaction():
        connection.execute("SET LOCAL session_replication_role = replica")
        for statement in _FILL:
            connection.execute(statement.encode(), given)
