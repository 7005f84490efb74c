"""What other programs write: noticed and followed."""
