"""The triggers that enforce the rules of gas for every program that writes."""

from ..book.locks import locks
from ..customers.triggers import AROUND, follows_merged
from ..database.objects import DatabaseObject, refusal

_UPDATED = """
BEGIN
  UPDATE public.customers SET balance_last_updated_at = pg_catalog.now()
    WHERE id IN (SELECT customer_id FROM changed)
      AND balance_last_updated_at IS DISTINCT FROM pg_catalog.now();
  RETURN NULL;
END """


def _stamps(table: str, column: str) -> DatabaseObject:
    """Stamps a derived row with the time of its last write, by any program."""
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
    """Stamps a customer with the time of the last write of their months, once per transaction."""
    old, new = ("changed", "") if event == "delete" else ("", "changed")
    table = "monthly_customer_balances"
    return DatabaseObject(
        f"backoffice_{table}_{event}_says_when", _UPDATED, table, (event,), old_rows=old, new_rows=new,
        settings=AROUND,
    )  # fmt: skip


_TAKES_BACK = f"""
BEGIN
  IF (NEW.amount <> OLD.amount OR NEW.deposited_on <> OLD.deposited_on)
    AND EXISTS (SELECT FROM public.gas_accepted_months a WHERE a.deposit_id = OLD.id)
  THEN
    {
    refusal(
        "Deposit % takes back what was accepted of closed months and stays as it is.",
        "Delete it, and those months are accepted no more.",
    ).replace("is.'", "is.', OLD.id")
}
  END IF;
  RETURN NEW;
END """

TAKES_BACK = DatabaseObject(
    "backoffice_deposits_take_back", _TAKES_BACK, "deposits", ("update",), is_before=True,
    is_for_each_row=True, settings=AROUND,
)  # fmt: skip
"""A deposit that reverses accepted differences keeps its amount and its day."""

OF_CUSTOMERS = {"readings": "read_on", "gas_prices": "effective_from", "deposits": "deposited_on"}
"""Table → the day of its rows."""

TRIGGERS = (
    *map(follows_merged, (*OF_CUSTOMERS, "gas_accepted_months")),
    *(locks(table, day) for table, day in OF_CUSTOMERS.items()),
    _stamps("transaction_calculations", "calculated_at"),
    _stamps("monthly_customer_balances", "last_calculated_at"),
    TAKES_BACK,
    *map(_says, ("insert", "update", "delete")),
)
