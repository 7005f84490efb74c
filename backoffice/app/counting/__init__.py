"""What every process of the server counts while it works. Beneath all domains; `metrics` tells it."""
