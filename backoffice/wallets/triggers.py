"""What PostgreSQL keeps of wallets, whoever writes; and how it charges many in their order."""

from ..customers.triggers import AROUND, follows_merged
from ..database.objects import DatabaseObject

_LEFT = """
BEGIN
  held := coalesce(held, balance);
  RETURN CASE WHEN amount <= held THEN held - amount ELSE held END;
END """

LEFT = DatabaseObject(
    "wallet_left_after", _LEFT, takes="held numeric, balance numeric, amount numeric", answers="numeric",
    aggregate="wallet_left", settings=AROUND,
)  # fmt: skip
"""What is left in a wallet after charges that come one after the other, each charged or refused.

As a window in the order of a file: over what is in the wallet before the first of them, and what each would take.
"""

TRIGGERS = (follows_merged("wallets"), LEFT)
