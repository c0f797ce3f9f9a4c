"""The first layer of an invertible network: samples brought to mean 0 and deviation 1."""

import torch
from jaxtyping import Float
from torch import Tensor, nn


class Standardise(nn.Module):
    r"""(x - centre) / unit for each coordinate, set once from samples: max(1 / unit)-Lipschitz (l2), invertible.

    Shapes: (batch, features) -> the same. Nothing of it is trained.

    Example:
        >>> layer = Standardise(2)
        >>> layer.set_from_(torch.tensor([[1.0, 0.0], [3.0, 8.0]]))
        >>> layer(torch.tensor([[2.0, 4.0]])).tolist(), layer.inverse(torch.zeros(1, 2)).tolist()
        ([[0.0, 0.0]], [[2.0, 4.0]])
    """

    scale: Tensor
    shift: Tensor

    def __init__(self, features: int) -> None:
        super().__init__()
        self.register_buffer("scale", torch.ones(features))
        self.register_buffer("shift", torch.zeros(features))

    @torch.no_grad()
    def set_from_(self, samples: Float[Tensor, "n features"]) -> None:
        """Mean and standard deviation of `samples`; a coordinate that does not vary keeps its scale."""
        rows = samples.double()
        unit = rows.std(dim=0, correction=0)
        unit = torch.where(unit > 0, unit, 1.0)
        self.scale.copy_(1.0 / unit)
        self.shift.copy_(-rows.mean(dim=0) / unit)

    def forward(self, x: Tensor) -> Tensor:
        return x * self.scale + self.shift

    def inverse(self, z: Tensor) -> Tensor:
        """The input of which `z` is the output, up to rounding."""
        return (z - self.shift) / self.scale

    def fold(self) -> nn.Linear:
        """The same function as a layer of torch, with a diagonal weight."""
        linear = nn.Linear(len(self.scale), len(self.scale)).to(self.scale)
        with torch.no_grad():
            linear.weight.copy_(torch.diag(self.scale))
            linear.bias.copy_(self.shift)
        return linear
