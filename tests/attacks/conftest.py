"""Classifiers of which the distance to the boundary is known in closed form."""

import pytest
import torch
from torch import nn


class Linear:
    """A linear classifier, samples in the middle of the box, and the exact distance of each to the boundary."""

    def __init__(self, classes: int) -> None:
        generator = torch.Generator().manual_seed(classes)
        self.model = nn.Sequential(nn.Flatten(), nn.Linear(12, classes))
        with torch.no_grad():
            self.model[1].weight.copy_(torch.randn(classes, 12, generator=generator))
            self.model[1].bias.zero_()
        self.inputs = 0.45 + 0.1 * torch.rand(24, 1, 3, 4, generator=generator)
        with torch.no_grad():  # every class is met: the bias makes their mean logits equal
            self.model[1].bias.copy_(-self.model(self.inputs).mean(dim=0))
            self.labels = self.model(self.inputs).argmax(dim=1)

    def exact(self, norm: str) -> torch.Tensor:
        """min over the other classes j of (z_y - z_j) / ||w_y - w_j||_dual in float64; the box is too far away."""
        weight = self.model[1].weight.detach().double()
        logits = self.inputs.double().flatten(1) @ weight.T + self.model[1].bias.detach().double()
        rows = weight[self.labels][:, None, :] - weight[None, :, :]
        length = rows.norm(dim=2) if norm == "l2" else rows.abs().sum(dim=2)
        gaps = logits.gather(1, self.labels[:, None]) - logits
        own = nn.functional.one_hot(self.labels, logits.shape[1]).bool()
        return torch.where(own, torch.inf, gaps / length.masked_fill(own, 1.0)).amin(dim=1)


@pytest.fixture(scope="session")
def two_classes() -> Linear:
    """A linear classifier of two classes."""
    return Linear(2)


@pytest.fixture(scope="session")
def five_classes() -> Linear:
    """A linear classifier of five classes."""
    return Linear(5)
