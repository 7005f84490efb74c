"""A legacy book becomes one by meter: six steps, each a kind of run that can be done alone and done again."""
