"""Entering the readings of many customers at once, in a grid."""
