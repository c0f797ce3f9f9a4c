"""Bounds of single operators: matrices and convolutions, from their weights."""
