"""Gas: calculated readings and monthly balances, and the screens, commands and imports around them."""
