"""Import of CSV files from other systems: validated line by line, then applied as a whole or not at all."""
