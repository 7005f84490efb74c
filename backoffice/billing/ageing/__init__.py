"""How overdue what is owed is."""
