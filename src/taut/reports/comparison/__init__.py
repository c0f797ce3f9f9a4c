"""The page of several runs of one task: their headline numbers and their learning curves."""
