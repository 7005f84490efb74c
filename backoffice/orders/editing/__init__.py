"""One order in a form: entering and changing it."""
