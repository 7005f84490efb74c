"""What PostgreSQL keeps of periods, whoever writes: their order, and the day up to which the book is closed."""

from ...book.locks import AROUND, HOLD_ALONE
from ...database.objects import DatabaseObject, refusal

_ORDER = refusal(
    "Months are closed one after the other.", "Close the month after the last closed one."
)
_BACK = refusal("The last closed month is reopened first.", "Reopen from the last month backwards.")
_STAYS = refusal("A period stays, and stays the month that it is.", "Reopen it instead.")

_KEEP = f"""
DECLARE
  last date;
BEGIN
  IF TG_OP = 'DELETE' OR TG_OP = 'UPDATE' AND (NEW.month, NEW.id) <> (OLD.month, OLD.id) THEN
    {_STAYS}
  END IF;
  {HOLD_ALONE}
  SELECT max(p.month) INTO last FROM public.periods p WHERE p.status = 'closed';
  IF NEW.status = 'closed' AND (TG_OP = 'INSERT' OR OLD.status <> 'closed') THEN
    IF NEW.month <> last + interval '1 month' THEN
      {_ORDER}
    END IF;
  ELSIF TG_OP = 'UPDATE' AND OLD.status = 'closed' AND NEW.status <> 'closed' AND NEW.month <> last THEN
    {_BACK}
  END IF;
  RETURN NEW;
END """

KEEPS_PERIODS = DatabaseObject(
    "backoffice_periods_keep", _KEEP, "periods", ("insert", "update", "delete"), is_before=True,
    is_for_each_row=True, settings=AROUND,
)  # fmt: skip
"""Closed one after the other, reopened from the last one backwards; whoever writes something dated is waited for."""

_SAY = """
BEGIN
  UPDATE public.book SET closed_until = (
    SELECT (max(p.month) + interval '1 month' - interval '1 day')::date FROM public.periods p WHERE p.status = 'closed'
  );
  RETURN NULL;
END """

SAYS_UNTIL = DatabaseObject(
    "backoffice_periods_say_until", _SAY, "periods", ("insert", "update"), settings=AROUND
)
"""The book says the last day of the last closed month, for whoever asks of a day."""

TRIGGERS = (KEEPS_PERIODS, SAYS_UNTIL)
