"""Files that are processed line by line, in runs of chunks, with the outcome of every line."""
