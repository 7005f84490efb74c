"""Posting rules: what documents of other domains should come to in the journal, what is posted of it, what is open."""
