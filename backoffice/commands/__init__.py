"""The commands: what each does stands in its domain; what is of no domain stands here."""
