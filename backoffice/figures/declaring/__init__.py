"""Declarations: expressions, figures, checks, and the rules that a declaration must meet."""
