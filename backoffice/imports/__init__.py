"""CSV files from other systems: checked line by line, then brought in whole or not at all."""
