"""The quality of generated pictures as result.json has it, beside that of real training pictures."""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from taut.tasks.gan.quality.classifier import Classifier
from taut.tasks.gan.quality.frechet import frechet_distance
from taut.tasks.gan.quality.precision_recall import precision_recall
from taut.training.seeding import stream


def measure(
    classifier: Classifier,
    real_train: Float[Tensor, "n c h w"],
    real_held_out: Float[Tensor, "m c h w"],
    fake: Float[Tensor, "k c h w"],
    *,
    samples: int = 5000,
    seed: int = 0,
) -> dict[str, Any]:
    """Fréchet distance, precision and recall of `fake` against held-out pictures, and of training pictures likewise.

    The reference is what a generator would get that draws new pictures as the data set does: no better is to be had.
    All are measured on equally many pictures, `samples` or as many as the smallest set has, drawn at random.

    Args:
        classifier: What `train_classifier` returned for the data set.
        real_train: Training pictures.
        real_held_out: Pictures that neither the classifier nor the generator has seen.
        fake: Generated pictures.
        samples: At most so many of each.
        seed: Of what is drawn.

    Returns:
        "samples", "features", "feature_accuracy", "frechet", "precision", "recall", and the last three again in
        "reference".

    Raises:
        ValueError: Fewer than four pictures, or features that are not finite.

    Example:
        >>> from taut.data import load
        >>> from taut.tasks.gan.quality import train_classifier
        >>> digits = load("digits")
        >>> classifier = train_classifier(digits.train, digits.test, classes=10, steps=5)
        >>> measure(classifier, digits.train.inputs, digits.test.inputs, digits.test.inputs)["recall"]
        1.0
    """
    count = min(samples, len(real_train), len(real_held_out), len(fake))
    drawn = [
        images[torch.randperm(len(images), generator=stream(seed, "quality", name))[:count]]
        for name, images in (("train", real_train), ("held out", real_held_out), ("fake", fake))
    ]
    train, held_out, generated = (classifier.features(images) for images in drawn)
    return {
        "samples": count,
        "features": classifier.description,
        "feature_accuracy": classifier.accuracy,
        **_compared(held_out, generated),
        "reference": _compared(held_out, train),
    }


def _compared(real: Tensor, fake: Tensor) -> dict[str, float]:
    precision, recall = precision_recall(real, fake)
    return {"frechet": frechet_distance(real, fake), "precision": precision, "recall": recall}
