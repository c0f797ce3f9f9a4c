"""The page of an attack on a run: curves, and samples before and after."""

from taut.reports.attack.page import write_attack_page

__all__ = ["write_attack_page"]
