"""The ledger: accounts, and the entries of the journal that debit and credit them."""
