"""What is expected: the SELECTs of every figure, over stored, expected or unsaved rows."""
