"""What the bars say and what was measured: `make bench`, or `python -m benchmarks [a] [b] [c]`."""
