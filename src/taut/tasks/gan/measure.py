"""Quality of a finished generator: features of a classifier trained here, and a bracket of the Wasserstein distance."""

from typing import Any

import torch
from torch import Tensor, nn

from taut import certify
from taut import nn as tnn
from taut.data import Dataset, as_inputs
from taut.errors import UserError
from taut.tasks.gan.config import Config
from taut.tasks.gan.quality import measure, train_classifier
from taut.training.progress import progress
from taut.training.seeding import stream
from taut.transport import exact_transport, wasserstein1

_CLASSIFIER_STEPS = 450
_BRACKET_STEPS = 600


def quality(config: Config, dataset: Dataset, fake: Tensor, *, device: torch.device) -> dict[str, Any]:
    """The "quality" of result.json: `fake` against held-out pictures, and training pictures likewise for reference."""
    with progress("training the classifier of features", _CLASSIFIER_STEPS) as reporter:
        classifier = train_classifier(
            dataset.train,
            dataset.test,
            classes=len(dataset.problem.classes),
            seed=config.seed,
            steps=_CLASSIFIER_STEPS,
            device=device,
            progress=lambda done, _: reporter.advance(done),
        )
    figures = measure(
        classifier, dataset.train.inputs, dataset.test.inputs, fake, samples=config.evaluation.samples, seed=config.seed
    )
    if config.evaluation.transport_samples:
        figures["wasserstein1"] = bracket(config, dataset, fake)
    return figures


def check_transport(config: Config) -> None:
    """Raise UserError where quality will be measured by exact transport, and POT is missing."""
    if config.evaluation.samples and config.evaluation.transport_samples:
        try:
            exact_transport(torch.zeros(2, 2), torch.zeros(2, 2))
        except ImportError as error:
            raise UserError(f"{error} (--transport-samples 0 leaves the bracket out)") from error


def bracket(config: Config, dataset: Dataset, fake: Tensor) -> dict[str, Any]:
    """W1 between data and generator, both ends, by a fresh critic; and exact transport of data onto data beside it."""
    count = config.evaluation.transport_samples
    held_out = _some(dataset.test.inputs, 2 * config.evaluation.samples, config.seed, "held out")
    with progress("bracketing W1", _BRACKET_STEPS) as reporter:
        try:
            found = wasserstein1(
                held_out,
                fake,
                steps=_BRACKET_STEPS,
                width=256,
                exact_samples=count,
                seed=config.seed,
                progress=lambda done, *_: reporter.advance(done),
            )
            # on as many pictures of each: the fewer, the larger is the distance between samples
            real, made = found.transport_samples or (count, count)
            reference = exact_transport(
                _some(dataset.test.stored, real, config.seed, "reference"),
                _some(dataset.train.stored, made, config.seed, "training"),
            )
        except (ImportError, RuntimeError) as error:
            raise UserError(f"{error} (--transport-samples 0 leaves the bracket out)") from error
    return {
        "estimate": found.estimate,
        "lower": found.lower,
        "upper": found.upper,
        "interval": list(found.interval),
        "transport": found.transport,
        "transport_samples": found.transport_samples,
        "lipschitz_bound": found.lipschitz_bound,
        "reference_transport": reference.value,
    }


def critic_bound(critic: nn.Module, shape: tuple[int, ...]) -> float | None:
    """Proven Lipschitz bound of the critic (l2), or None where it has a part that no rule is known of."""
    try:
        return certify.lipschitz_bound(tnn.fold(critic).cpu().eval(), norm="l2", input_shape=shape)
    except (TypeError, ValueError):
        return None


def _some(images: Tensor, count: int, seed: int, name: str) -> Tensor:
    return as_inputs(images[torch.randperm(len(images), generator=stream(seed, "bracket", name))[:count]])
