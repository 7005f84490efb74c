"""Posting rules: what is expected in the journal for documents of other domains, what is posted, and what is open."""
