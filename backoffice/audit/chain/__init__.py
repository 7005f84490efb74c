"""The hash chain over the audit trail: sealing, anchoring outside the database, verification."""
