"""Expected values: the SELECTs of every figure, over stored, expected or unsaved rows."""
