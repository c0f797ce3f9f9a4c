"""Classification runs: certified accuracy and what bounds it from both sides, one run or several."""
