"""What every screen is made with: forms, formats, lists' pages, conflicts."""
