"""The database beneath: its services, its upgrade, its grants and statistics."""
