"""The form in which one order is entered and changed."""
