"""How good generated pictures are, without a download: distances between features of a classifier trained here."""

from taut.tasks.gan.quality.classifier import Classifier, train_classifier
from taut.tasks.gan.quality.frechet import frechet_distance
from taut.tasks.gan.quality.measure import measure
from taut.tasks.gan.quality.precision_recall import precision_recall

__all__ = ["Classifier", "frechet_distance", "measure", "precision_recall", "train_classifier"]
