"""Facts that differ from the audit trail: found, never overwritten by a heal, decided by a person."""
