"""A classifier as it was exported, loaded: its network in plain torch, its classes, and what is proven of it."""

import copy
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int, Num
from torch import Tensor, nn

from taut.certify import Certificate, robustness


@dataclass(frozen=True, kw_only=True, eq=False)
class ExportedNetwork:
    """A folded classifier f with ||f(x) - f(y)|| <= `lipschitz_bound` ||x - y|| in `norm`, where a bound is stated.

    Calling it gives logits: (batch, *input_shape) -> (batch, classes), in the dtype and on the device of the weights.
    The bound and the certificate are those of the exported file; `certify` proves radii of other inputs anew.
    """

    model: nn.Module
    """Plain torch modules in evaluation mode, with parameters that ask for no gradient; inputs still may."""
    classes: tuple[str, ...]
    """Names; logit i is that of classes[i]."""
    input_shape: tuple[int, ...]
    """Of one input, without the batch."""
    norm: str
    """"l2" or "linf": of `lipschitz_bound`, and of the radii that `certify` proves when nothing else is said."""
    lipschitz_bound: float | None
    """Proven where the network was exported; None where nothing was."""
    certificate: Certificate | None
    """Radii of the held-out samples of its training run; `taut verify` proves them again."""

    def __call__(self, inputs: Num[Tensor, "batch *shape"]) -> Float[Tensor, "batch classes"]:
        """Logits. ValueError for another shape than a batch of `input_shape`, TypeError for inputs that are integers:
        networks take numbers in [0, 1], not bytes."""
        if tuple(inputs.shape[1:]) != self.input_shape or inputs.ndim != len(self.input_shape) + 1:
            expected = ", ".join(["batch", *map(str, self.input_shape)])
            raise ValueError(f"inputs must be a batch of shape ({expected}), got {tuple(inputs.shape)}")
        if not inputs.is_floating_point():
            raise TypeError(f"inputs must be floating-point numbers in [0, 1], got {inputs.dtype}")
        return self.model(inputs.to(next(self.model.parameters())))

    @torch.no_grad()
    def predict(self, inputs: Num[Tensor, "batch *shape"]) -> list[str]:
        """Name of the class of each input. ValueError where logits are not finite, which have no largest."""
        logits = self(inputs)
        if not bool(logits.isfinite().all()):
            first = int((~logits.isfinite()).any(dim=1).nonzero()[0])
            raise ValueError(f"input {first} has logits that are not finite")
        return [self.classes[label] for label in logits.argmax(dim=1).tolist()]

    @torch.no_grad()
    def certify(
        self,
        inputs: Num[Tensor, "batch *shape"],
        labels: Int[Tensor, " batch"] | None = None,
        *,
        norm: str | None = None,
        arithmetic: str = "float64",
    ) -> Certificate:
        """Certificate of `inputs`, proven here: within `certify(x).radius` of an input its class stays what it is.

        Without `labels` the class is the one that the network computes in float64, be it right or wrong. Norm, units,
        arithmetic and errors are those of `taut.certify.robustness`.
        """
        self(inputs[:1])  # the checks
        if labels is None:
            judge = copy.deepcopy(self.model).cpu().double()
            labels = torch.cat([judge(part.cpu().double()) for part in inputs.split(1000)]).argmax(dim=1)
        return robustness(self.model, inputs.cpu(), labels, norm=norm or self.norm, arithmetic=arithmetic)
