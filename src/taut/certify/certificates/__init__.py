"""The file that states what was certified."""
