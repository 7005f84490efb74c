"""Actions with a preview: the effect is shown first, and above the limits a second user approves it."""
