"""Reading files: rows, cells, and what their columns mean."""
