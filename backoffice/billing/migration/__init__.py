"""Migration of a legacy book to billing by meter: six steps, each a repeatable kind of run."""
