"""The metrics that Backoffice exposes to Prometheus. See docs/operations.md."""
