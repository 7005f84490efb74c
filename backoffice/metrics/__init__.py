"""What Backoffice tells Prometheus of itself. See docs/operations.md."""
