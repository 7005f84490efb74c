"""Reports over stored totals."""
