"""What PostgreSQL keeps of customers, whoever writes."""

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
    """Whatever is booked on a customer that was merged ends at the survivor, whoever writes.

    A form that was open, an import that names the old code, a program. FOR KEY SHARE waits for a merge that is under
    way, and then sees it. Who may write the table need not be allowed to lock customers. A circle, which no merge
    makes, ends after a hundred steps.
    """
    return DatabaseObject(
        f"backoffice_{table}_follow_merged_customer", _FOLLOW, table, ("insert", "update"),
        is_before=True, is_for_each_row=True, of=("customer_id",), settings=AROUND,
    )  # fmt: skip


def stamps_balance(table: str) -> DatabaseObject:
    """A balance says when it has last changed: it is written by saves, drains, heals and other programs."""
    return DatabaseObject(
        f"backoffice_{table}_stamp_balance", _STAMP, table, ("update",), is_before=True,
        is_for_each_row=True, settings=AROUND,
        when="((old.balance IS DISTINCT FROM new.balance) OR (old.overpayment IS DISTINCT FROM new.overpayment))",
    )  # fmt: skip


TRIGGERS = (stamps_balance("customers"),)
