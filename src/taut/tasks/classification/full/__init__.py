"""`taut evaluate RUN --full`: everything that can be measured of a finished classifier, in a folder of its own."""

from taut.tasks.classification.full.evaluate import full_evaluation
from taut.tasks.classification.full.options import FullOptions

__all__ = ["FullOptions", "full_evaluation"]
