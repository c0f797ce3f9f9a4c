"""What the parts of a full evaluation share: the network, the samples, and how numbers are put together."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from taut import certify
from taut.data import Split
from taut.tasks.classification.full.options import FullOptions
from taut.tasks.classification.measure import Uncertified
from taut.tasks.classification.parts import Loss
from taut.training.progress import progress


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A network and the samples that it is measured on."""

    model: nn.Module
    """Folded, in eval mode, on the device."""
    twin: nn.Module
    """The same in float64, with parameters that need no gradient."""
    split: Split
    """The held-out samples."""
    some: Split
    """The first of them, for what is dear."""
    certificate: certify.Certificate | Uncertified
    loss: Loss
    norm: str
    device: torch.device
    options: FullOptions
    quiet: bool

    @property
    def radius(self) -> Tensor | None:
        """Certified radii; None for a network without a certificate."""
        if not isinstance(self.certificate, certify.Certificate):
            return None
        return torch.as_tensor(self.certificate.radius, dtype=torch.float64)

    @property
    def correct(self) -> Tensor:
        """Whether each sample is classified correctly, in float64."""
        return torch.as_tensor(self.certificate.prediction) == torch.as_tensor(self.certificate.label)

    @contextmanager
    def telling(self, title: str, total: int) -> Iterator[Callable[[int], None]]:
        """Progress: a bar, or a line now and then; call it with what is done."""
        with progress(title, total, show=not self.quiet) as reporter:

            def tell(done: int) -> None:
                reporter.advance(done)
                if done < total:
                    reporter.line(f"{done} of {total}")

            yield tell


def spread(values: Tensor) -> dict[str, Any]:
    """Number, least, quartiles, mean and largest of the values; None for what is infinite or of no values."""
    values = values.double()
    if not len(values):
        return {"count": 0, "min": None, "quartiles": [None, None, None], "mean": None, "max": None}
    ordered = values.sort().values
    # of the sorted values themselves, so that infinite ones do not spoil the others
    quartiles = [ordered[round(share * (len(ordered) - 1))] for share in (0.25, 0.5, 0.75)]
    return {
        "count": len(values),
        "min": finite(ordered[0]),
        "quartiles": [finite(value) for value in quartiles],
        "mean": finite(values.mean()),
        "max": finite(ordered[-1]),
    }


def finite(value: Tensor | float) -> float | None:
    """The number, or None where it is none: JSON has no infinity."""
    number = float(value)
    return number if abs(number) < torch.inf else None


def sample_losses(loss: Loss, logits: Tensor, labels: Tensor) -> Tensor:
    """The loss of each sample alone, of a loss that is a mean over the batch."""
    return torch.stack([loss(logits[i : i + 1], labels[i : i + 1]) for i in range(len(labels))])


def threshold(loss: Loss) -> float:
    """The least loss of any misclassified or tied sample.

    The losses of the task fall when the label's logit grows and when others shrink: the least is that of a tie with one
    other class, all the rest infinitely low, which is a tie of two classes.
    """
    return float(loss(torch.zeros(1, 2, dtype=torch.float64), torch.zeros(1, dtype=torch.int64)))
