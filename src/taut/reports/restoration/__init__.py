"""The page of a restored picture: what was measured, what came out, and whether the theorem held."""
