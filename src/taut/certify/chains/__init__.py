"""Chains of dense layers and activations: bounds in l2 that are tighter than the product of the layers' norms."""
