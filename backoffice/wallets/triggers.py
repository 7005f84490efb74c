"""The triggers of wallets, and the aggregate function for charging many rows of a file in order."""

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
"""The balance left in a wallet after consecutive charges, each of which is charged or refused.

Used as a window in the order of a file, over the balance before the first charge and the amount of each.
"""

TRIGGERS = (follows_merged("wallets"), LEFT)
