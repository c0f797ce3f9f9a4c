"""The page of an invertible network."""
