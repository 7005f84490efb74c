"""The triggers that enforce the ledger's rules for every program that writes.

An entry begins as a draft and is posted once; then neither it nor its lines change. Whether it is balanced is checked
at COMMIT, so that its lines may be written in any order.
"""

from ..book.locks import AROUND, HOLD_ALONE, refusing
from ..database.objects import DatabaseObject, refusal

_HINT = "What was posted wrongly is mended by another entry: reverse it."
_BEGIN = refusal("A journal entry begins as a draft.", "Write its lines, then post it.")
_ENTRY = refusal("Journal entry % is posted and stays as it is.", _HINT).replace(
    "is.'", "is.', OLD.number"
)
_LINE = refusal("Journal entry % is posted and its lines stay as they are.", _HINT).replace(
    "are.'", "are.', entry.number"
)

NUMBERING = (
    "PERFORM pg_advisory_xact_lock(hashtext('journal entries posted in '"
    " || extract(year FROM NEW.entry_date)));"
)
"""Postings of one year wait for each other until COMMIT or ROLLBACK, so that posting numbers have no gaps."""

_KEEP_ENTRY = f"""
DECLARE
  last date;
BEGIN
  IF TG_OP = 'INSERT' THEN
    IF NEW.status <> 'draft' THEN
      {_BEGIN}
    END IF;
    NEW.posting_number := NULL;
    RETURN NEW;
  END IF;
  IF OLD.status = 'posted' THEN
    IF TG_OP = 'DELETE' OR NEW IS DISTINCT FROM OLD THEN
      {_ENTRY}
    END IF;
    RETURN NEW;
  END IF;
  IF TG_OP = 'DELETE' THEN
    RETURN OLD;
  END IF;
  NEW.posting_number := NULL;
  IF NEW.status = 'posted' THEN
    {refusing("NEW.entry_date <= last")}
    {NUMBERING}
    SELECT coalesce(max(e.posting_number), 0) + 1 INTO NEW.posting_number FROM public.journal_entries e
      WHERE extract(year FROM e.entry_date) = extract(year FROM NEW.entry_date);
  END IF;
  RETURN NEW;
END """

KEEPS_ENTRIES = DatabaseObject(
    "backoffice_journal_entries_keep", _KEEP_ENTRY, "journal_entries", ("insert", "update", "delete"),
    is_before=True, is_for_each_row=True, settings=AROUND,
)  # fmt: skip
"""An entry is inserted as a draft, posted on an unlocked day with the year's next number, and then immutable."""

_KEEP_LINE = f"""
DECLARE
  entry record;
  is_posted boolean := false;
BEGIN
  FOR entry IN SELECT e.number, e.status, e.entry_date FROM public.journal_entries e
    WHERE e.id IN (OLD.entry_id, NEW.entry_id) ORDER BY e.id FOR SHARE
  LOOP
    CONTINUE WHEN entry.status <> 'posted';
    is_posted := true;
    IF TG_OP = 'UPDATE' AND OLD.posted_on IS NULL THEN
      NEW.posted_on := NULL;
    END IF;
    IF TG_OP <> 'UPDATE' OR NEW IS DISTINCT FROM OLD THEN
      {_LINE}
    END IF;
    NEW.posted_on := coalesce(OLD.posted_on, entry.entry_date);
  END LOOP;
  IF TG_OP = 'DELETE' THEN
    RETURN OLD;
  END IF;
  IF NOT is_posted THEN
    NEW.posted_on := NULL;
  END IF;
  RETURN NEW;
END """

KEEPS_LINES = DatabaseObject(
    "backoffice_journal_lines_keep", _KEEP_LINE, "journal_lines", ("insert", "update", "delete"),
    is_before=True, is_for_each_row=True, settings=AROUND,
)  # fmt: skip
"""Lines of a posted entry are never inserted, changed or deleted; their `posted_on` is the entry's date.

FOR SHARE waits for a transaction that is posting the entry, and one that posts it later waits for this one.
"""

_POST = """
DECLARE
  drafts bigint[] := ARRAY(SELECT o.id FROM old_rows o WHERE o.status = 'draft');
BEGIN
  IF drafts <> '{}' THEN
    UPDATE public.journal_lines l SET posted_on = e.entry_date
      FROM unnest(drafts) AS d (id) JOIN public.journal_entries e ON e.id = d.id AND e.status = 'posted'
      WHERE l.entry_id = e.id;
  END IF;
  RETURN NULL;
END """

POSTS = DatabaseObject(
    "backoffice_journal_entries_post", _POST, "journal_entries", ("update",), old_rows="old_rows",
    new_rows="new_rows", settings=AROUND,
)  # fmt: skip
"""Posting an entry sets `posted_on` of its lines; the trigger of the account figure adds them to the sums.

The old and new rows are not joined: PostgreSQL keeps the plan of a connection's first posting, of one entry, which for
thousands of entries compares each row with each.
"""

_BALANCED = """
DECLARE
  debits numeric;
  credits numeric;
BEGIN
  SELECT coalesce(sum(l.debit), 0), coalesce(sum(l.credit), 0) INTO debits, credits
    FROM public.journal_lines l WHERE l.entry_id = NEW.id;
  IF debits <> credits OR debits = 0 THEN
    RAISE EXCEPTION 'Journal entry % is not balanced: debits %, credits %.', NEW.number, debits, credits
      USING ERRCODE = 'check_violation', HINT = 'Debit as much as is credited, and something.';
  END IF;
  RETURN NULL;
END """

BALANCED = DatabaseObject(
    "backoffice_journal_entries_balanced", _BALANCED, "journal_entries", ("update",), is_for_each_row=True,
    is_deferred=True, when="(new.status = 'posted'::text)", settings=AROUND,
)  # fmt: skip
"""At COMMIT the debits of every posted entry equal its credits."""

_ORDER = refusal(
    "Months are closed one after the other.", "Close the month after the last closed one."
)
_BACK = refusal("The last closed month is reopened first.", "Reopen from the last month backwards.")
_STAYS = refusal("A period stays, and stays the month that it is.", "Reopen it instead.")

_KEEP_PERIOD = f"""
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
    "backoffice_periods_keep", _KEEP_PERIOD, "periods", ("insert", "update", "delete"), is_before=True,
    is_for_each_row=True, settings=AROUND,
)  # fmt: skip
"""Months are closed in order and reopened from the last one backwards; both wait for writers of dated rows."""

_SAY_UNTIL = """
BEGIN
  UPDATE public.book SET closed_until = (
    SELECT (max(p.month) + interval '1 month' - interval '1 day')::date FROM public.periods p WHERE p.status = 'closed'
  );
  RETURN NULL;
END """

SAYS_UNTIL = DatabaseObject(
    "backoffice_periods_say_until", _SAY_UNTIL, "periods", ("insert", "update"), settings=AROUND
)
"""Keeps `book.closed_until`, the last day of the last closed month."""

TRIGGERS = (KEEPS_ENTRIES, KEEPS_LINES, POSTS, BALANCED, KEEPS_PERIODS, SAYS_UNTIL)
