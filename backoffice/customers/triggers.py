"""Triggers that follow merges and stamp balances, whichever program writes."""

from ..database.objects import DatabaseObject

AROUND = (("search_path", "pg_catalog, pg_temp"),)

_FOLLOW = """
DECLARE
  survivor bigint;
BEGIN
  FOR step IN 1..100 LOOP
    SELECT merged_into_id INTO survivor
      FROM public.customers WHERE id = NEW.customer_id FOR KEY SHARE;
    EXIT WHEN survivor IS NULL;
    NEW.customer_id := survivor;
  END LOOP;
  RETURN NEW;
END """

_STAMP = """
BEGIN
  NEW.balance_changed_at := pg_catalog.now();
  RETURN NEW;
END """


def follows_merged(table: str) -> DatabaseObject:
    """The trigger that books on the survivor whatever any program books on a merged customer.

    That is a form opened earlier, an import with the old code, another program. FOR KEY SHARE waits for a merge in
    progress, and then sees it. The role that writes the table needs no right to lock customers. A cycle, which no
    merge creates, ends after a hundred steps.
    """
    return DatabaseObject(
        f"backoffice_{table}_follow_merged_customer", _FOLLOW, table, ("insert", "update"),
        is_before=True, is_for_each_row=True, of=("customer_id",), settings=AROUND,
    )  # fmt: skip


def stamps_balance(table: str) -> DatabaseObject:
    """The trigger that stamps when a balance last changed, as saves, drains, heals and other programs write it."""
    return DatabaseObject(
        f"backoffice_{table}_stamp_balance", _STAMP, table, ("update",), is_before=True,
        is_for_each_row=True, settings=AROUND,
        when="((old.balance IS DISTINCT FROM new.balance) OR (old.overpayment IS DISTINCT FROM new.overpayment))",
    )  # fmt: skip


TRIGGERS = (stamps_balance("customers"),)
