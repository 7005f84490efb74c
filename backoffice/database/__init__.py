"""The database: embedded services, generated objects, grants, statistics and snapshots."""
