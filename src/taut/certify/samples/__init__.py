"""What is certified of single samples: evaluations with their rounding errors, radii, intervals."""
