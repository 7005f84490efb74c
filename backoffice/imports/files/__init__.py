"""Reading files: rows, cells, and the mapping of their columns."""
