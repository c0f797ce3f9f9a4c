"""The frame of every page, how its numbers are written, and the pieces that pages share."""
