"""One recipe with several activations, a run for each, and the table of all."""

from taut.tasks.comparison.finished import compare_finished
from taut.tasks.comparison.plan import Plan, chosen_activations
from taut.tasks.comparison.run import TASK, compare, resume_comparison

__all__ = ["TASK", "Plan", "chosen_activations", "compare", "compare_finished", "resume_comparison"]
