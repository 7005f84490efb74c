"""Facts that differ from the audit trail: found, never healed over, decided about by a person."""
