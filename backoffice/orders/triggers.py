"""Triggers that keep an order's itemised kinds consistent with its lines, whichever program writes them."""

from ..customers.triggers import AROUND, follows_merged
from ..database.objects import DatabaseObject
from .models import KINDS

_ITEMISE = f"""
BEGIN
  PERFORM FROM (
      SELECT order_id, array_agg(DISTINCT kind) AS kinds
      FROM new_rows GROUP BY order_id ORDER BY order_id
    ) lines, LATERAL (
      SELECT FROM public.orders o
      WHERE o.id = lines.order_id AND NOT lines.kinds <@ o.itemised FOR NO KEY UPDATE
    ) locked;
  IF NOT FOUND THEN
    RETURN NULL;
  END IF;
  UPDATE public.orders o
    SET itemised = ARRAY(
      SELECT k FROM unnest(ARRAY[{",".join(f"'{kind}'" for kind in KINDS)}]) WITH ORDINALITY AS known(k, place)
      WHERE k = ANY (o.itemised || lines.kinds) ORDER BY place
    )
    FROM (SELECT order_id, array_agg(DISTINCT kind) AS kinds FROM new_rows GROUP BY order_id) lines
    WHERE o.id = lines.order_id AND NOT lines.kinds <@ o.itemised;
  RETURN NULL;
END """


def itemises(event: str) -> DatabaseObject:
    """The trigger that marks a kind as itemised when a line of it is written; only the form can undo that.

    The role that writes lines needs no right to write orders. The orders are locked in id order, so that two imports
    at once do not deadlock; orders that already have the kind are neither locked nor written. Each order is looked up
    by its key (LATERAL): the planner would otherwise read every order whenever a line is written. Its name sorts
    after those of the triggers that note and audit.
    """
    return DatabaseObject(
        f"backoffice_order_lines_itemise_{event}", _ITEMISE, "order_lines", (event,),
        new_rows="new_rows", settings=AROUND,
    )  # fmt: skip


TRIGGERS = (follows_merged("orders"), *map(itemises, ("insert", "update")))
