"""Counters of every process of the server. Beneath all domains; `metrics` exposes them."""
