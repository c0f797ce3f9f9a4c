"""The contract of a convolution: what every class in `taut.nn` that convolves must satisfy."""

import copy
from abc import abstractmethod
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

import taut
from taut.testing import checks
from taut.testing.linear import TOLERANCE
from taut.testing.map import Case, MapContract

_SHAPES = {1: (12,), 2: (6, 6), 3: (4, 4, 4)}
_ODD_SHAPES = {1: ((1,), (3,), (7,)), 2: ((1, 1), (5, 3), (2, 7)), 3: ((1, 3, 2),)}
FEATURES: dict[str, tuple[dict[str, Any], ...]] = {
    "zeros": (
        {"in_channels": 4, "out_channels": 4},
        {"in_channels": 3, "out_channels": 5},
        {"in_channels": 5, "out_channels": 3, "bias": False},
        {"in_channels": 4, "out_channels": 4, "kernel_size": 1},
        {"in_channels": 1, "out_channels": 1, "kernel_size": 5},
    ),
    "padding": (
        {"in_channels": 2, "out_channels": 3, "padding": "valid"},
        {"in_channels": 3, "out_channels": 2, "padding": 2},
    ),
    "circular": (
        {"in_channels": 4, "out_channels": 4, "padding_mode": "circular"},
        {"in_channels": 5, "out_channels": 3, "padding_mode": "circular"},
        {"in_channels": 3, "out_channels": 5, "padding_mode": "circular"},
    ),
    "stride": (
        {"in_channels": 2, "out_channels": 5, "stride": 2},
        {"in_channels": 2, "out_channels": 3, "kernel_size": 2, "stride": 2},
    ),
    "circular stride": (
        {"in_channels": 2, "out_channels": 5, "kernel_size": 4, "stride": 2, "padding_mode": "circular"},
        {"in_channels": 2, "out_channels": 8, "stride": 2, "padding_mode": "circular"},
        {"in_channels": 3, "out_channels": 2, "kernel_size": 2, "stride": 2, "padding_mode": "circular"},
    ),
    "groups": (
        {"in_channels": 4, "out_channels": 4, "groups": 2},
        {"in_channels": 4, "out_channels": 4, "groups": 4},
        {"in_channels": 4, "out_channels": 6, "groups": 2},
    ),
    "dilation": (
        {"in_channels": 3, "out_channels": 3, "dilation": 2},
        {"in_channels": 2, "out_channels": 3, "dilation": 3, "padding": 3},
    ),
    "dilation with stride": ({"in_channels": 2, "out_channels": 3, "dilation": 3, "stride": 2, "padding": 3},),
    "dilation with a common stride": ({"in_channels": 2, "out_channels": 3, "dilation": 2, "stride": 2},),
    "even": ({"in_channels": 3, "out_channels": 3, "kernel_size": 2},),
}
"""What a convolution may support, and the constructions that show it."""


class ConvContract(MapContract):
    """Inherit in a test class, say how to make the layer, and which features it has; pytest runs the rest.

    A feature that is not in `supports` must be refused by the constructor with a ValueError.

    class TestMyConv2d(ConvContract):
        def make(self, in_channels, out_channels, kernel_size=3, **options):
            return MyConv2d(in_channels, out_channels, kernel_size, **options)
    """

    dims: ClassVar[int] = 2
    """Axes of the image."""
    supports: ClassVar[frozenset[str]] = frozenset(FEATURES)
    """Names of features."""
    transposed: ClassVar[bool] = False
    """No circular padding, by torch's own limits."""
    refused_padding_modes: ClassVar[tuple[str, ...]] = ("reflect", "replicate", "torus")
    """What would break the bound, and what does not exist."""
    norms: ClassVar[tuple[str, ...]] = ("l2",)
    proof_excess: ClassVar[float] = 1e-4

    @abstractmethod
    def make(  # type: ignore[override]
        self, in_channels: int, out_channels: int, kernel_size: Any = 3, **options: Any
    ) -> nn.Module:
        """The layer under test."""

    def pytest_generate_tests(self, metafunc: Any) -> None:
        type(self).cases = tuple(self._case(options) for name in FEATURES for options in self._of(name))
        super().pytest_generate_tests(metafunc)

    def thorough_cases(self) -> tuple[Case, ...]:
        of_feature = (self._of(name) for name in ("zeros", "circular", "circular stride", "groups", "dilation"))
        return tuple(self._case(options[-1]) for options in of_feature if options)

    def dearest_cases(self) -> tuple[Case, ...]:
        of_feature = (self._of(name) for name in ("zeros", "circular stride", "groups"))
        return tuple(self._case(options[-1]) for options in of_feature if options) or self.thorough_cases()[:1]

    def first_case(self) -> Case:
        return self._case(FEATURES["zeros" if "zeros" in self.supports else "circular"][0])

    def _of(self, feature: str) -> tuple[dict[str, Any], ...]:
        if feature not in self.supports or (self.transposed and feature.startswith(("circular", "even"))):
            return ()
        plane = self.dims == 2 and not self.transposed
        return FEATURES[feature] if plane else FEATURES[feature][:1]  # the variants share the mathematics

    def _case(self, options: dict[str, Any]) -> Case:
        return options, (2, options["in_channels"], *_SHAPES[self.dims])

    # --- the claims --------------------------------------------------------------------------------------------------

    def test_smallest_singular_value(self, case: Case, dtype: torch.dtype) -> None:
        """Where it claims orthogonality: on the torus, on the smaller side."""
        if not self.orthogonal or case[0].get("padding_mode") != "circular":
            return
        layer, inputs = self._module(case, dtype)
        for when in ("at the start", "at another weight"):
            least = float(torch.linalg.svdvals(self._operator(layer, inputs))[-1])
            assert least >= 1 - TOLERANCE[dtype] * 4, f"smallest singular value {least!r} below 1 {when}"
            checks.scramble(layer)

    def test_every_parameter_gets_a_gradient(self, case: Case) -> None:
        options = case[0]
        alone = options["in_channels"] == options["out_channels"] == options.get("groups", 1)
        if self.orthogonal and alone and options.get("stride", 1) == 1:
            return  # one channel in a group: an orthogonal kernel is +-1 at one tap, and there is nothing to learn
        super().test_every_parameter_gets_a_gradient(case)

    def test_odd_images(self) -> None:
        """The bound without an input shape holds for every size, also below the kernel's."""
        for name in ("zeros", "stride", "circular"):
            for options in self._of(name)[:1]:
                layer, _ = self._module(self._case(options), torch.float64)
                bound = taut.lipschitz_bound(layer)
                for size in _ODD_SHAPES[self.dims]:
                    if min(size) < (3 if name == "circular" else options.get("kernel_size", 1)):
                        continue  # torch's own limits: the padding goes around once, and a window must fit
                    x = torch.randn(1, options["in_channels"], *size, dtype=torch.float64)
                    gain = float(torch.linalg.svdvals(self._operator(layer, x))[0])
                    assert gain <= bound * (1 + 1e-12), f"gain {gain!r} above {bound!r} on {size}"

    def test_what_is_not_supported_is_refused(self) -> None:
        for feature in FEATURES.keys() - self.supports:
            if not (self.transposed and feature.startswith(("circular", "even"))):
                for options in FEATURES[feature]:
                    checks.assert_refused(lambda options=options: self.make(**options), "")

    def test_bad_arguments_are_refused(self) -> None:
        base = {"in_channels": 4, "out_channels": 4, "kernel_size": 3}
        wrong: list[dict[str, Any]] = [
            *({"in_channels": v} for v in (0, -1, 2.5, True)),
            *({"out_channels": v} for v in (0, -3)),
            *({"kernel_size": v} for v in (0, -1, 1.5, (3,) * (self.dims + 1))),
            *({"stride": v} for v in (0, -1)),
            *({"dilation": v} for v in (0, 1.5)),
            *({"padding": v} for v in (-1, "full")),
            *({"groups": v} for v in (0, 3)),
        ]
        if not self.transposed:
            wrong += [{"padding_mode": v} for v in self.refused_padding_modes]
        for options in [*wrong, *self.bad_arguments]:
            merged = {**base, **options}
            checks.assert_refused(lambda merged=merged: self.make(**merged), next(iter(options.values())))
        if "circular" in self.supports and not self.transposed:
            wide = {**base, "padding_mode": "circular", "padding": 2}
            checks.assert_refused(lambda: self.make(**wide), 2)

    def _keeps_norms(self, module: nn.Module, inputs: Tensor) -> bool:
        return False  # with zero padding the border loses some; `test_smallest_singular_value` looks at the torus

    @staticmethod
    def _free(module: nn.Module) -> dict[str, nn.Parameter]:
        return {name: p for name, p in module.named_parameters() if name != "bias"}  # affine: the bias changes nothing

    def _points(self, inputs: Tensor) -> tuple[Tensor, ...]:
        return (inputs[:1].double(),)  # affine: the Jacobian is the same everywhere

    @staticmethod
    @torch.no_grad()
    def _jacobian(module: nn.Module, x: Tensor) -> Tensor:
        """The matrix of the convolution on images of this size, column by column."""
        basis = torch.eye(x.numel(), dtype=x.dtype).reshape(-1, *x.shape[1:])
        linear = copy.deepcopy(module)  # without its biases: digits would be lost in subtracting large ones
        for name, parameter in linear.named_parameters():
            if name.rpartition(".")[2] == "bias":
                parameter.zero_()
        return (linear(basis) - linear(torch.zeros_like(x))).flatten(1).mT

    def _operator(self, layer: nn.Module, inputs: Tensor) -> Tensor:
        """The same from the layer's weights as they are, in float64."""
        return self._jacobian(taut.fold(layer).double(), inputs[:1].double())
