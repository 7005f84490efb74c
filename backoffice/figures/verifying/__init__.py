"""What drifted, with its roots, and how it is healed; whether a declaration is right at all."""
