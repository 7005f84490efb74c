"""Benchmarks, each with the bar it must meet: `make bench`, or `python -m benchmarks [a] [b] [c]`."""
