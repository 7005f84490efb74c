"""Files whose lines are each carried out by themselves: in runs of chunks, with what became of every line."""
