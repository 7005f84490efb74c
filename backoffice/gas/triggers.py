"""What PostgreSQL keeps of gas, whoever writes."""

from ..book.locks import locks
from ..customers.triggers import AROUND, follows_merged
from ..database.objects import DatabaseObject

_UPDATED = """
BEGIN
  UPDATE public.customers SET balance_last_updated_at = pg_catalog.now()
    WHERE id IN (SELECT customer_id FROM changed)
      AND balance_last_updated_at IS DISTINCT FROM pg_catalog.now();
  RETURN NULL;
END """


def _stamps(table: str, column: str) -> DatabaseObject:
    """A derived row says when it was last written: by saves, drains, heals and other programs."""
    body = f"""
BEGIN
  NEW.{column} := pg_catalog.now();
  RETURN NEW;
END """
    return DatabaseObject(
        f"backoffice_{table}_stamp", body, table, ("update",), is_before=True, is_for_each_row=True,
        settings=AROUND,
    )  # fmt: skip


def _says(event: str) -> DatabaseObject:
    """A customer says when their months were last written; once in a transaction."""
    old, new = ("changed", "") if event == "delete" else ("", "changed")
    table = "monthly_customer_balances"
    return DatabaseObject(
        f"backoffice_{table}_{event}_says_when", _UPDATED, table, (event,), old_rows=old, new_rows=new,
        settings=AROUND,
    )  # fmt: skip


OF_CUSTOMERS = {"readings": "read_on", "gas_prices": "effective_from", "deposits": "deposited_on"}
"""Table → the day of its rows."""

TRIGGERS = (
    *map(follows_merged, (*OF_CUSTOMERS, "gas_accepted_months")),
    *(locks(table, day) for table, day in OF_CUSTOMERS.items()),
    _stamps("transaction_calculations", "calculated_at"),
    _stamps("monthly_customer_balances", "last_calculated_at"),
    *map(_says, ("insert", "update", "delete")),
)
