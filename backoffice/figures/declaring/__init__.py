"""What a domain says: expressions, figures, checks, and the rules that a declaration must keep."""
