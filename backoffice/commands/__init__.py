"""The console command and its subcommands that belong to no domain; the others are in their domain's `cli.py`."""
