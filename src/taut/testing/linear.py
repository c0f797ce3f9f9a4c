"""The contract of a linear layer: what every class in `taut.nn` that maps vectors to vectors must satisfy."""

from abc import ABC, abstractmethod
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

import taut
from taut.testing import checks
from taut.testing.updates import nasty_weights, project, updated

# What a claim of 1 may be exceeded by: the distance from orthogonality that `taut.functional` promises.
TOLERANCE = {torch.float32: 1e-6, torch.float64: 1e-14}
_SVD_ROUNDING = 64 * torch.finfo(torch.float64).eps
# What a proven bound may exceed the norm by: the relative tightness that `taut.certify.spectral_norm_bound` states.
_PROOF_EXCESS = 1e-9


class LinearContract(ABC):
    """Inherit in a test class, say how to make the layer and what it claims; pytest runs the rest.

    class TestMyLinear(LinearContract):
        def make(self, in_features, out_features, **options):
            return MyLinear(in_features, out_features, **options)
    """

    norm: ClassVar[str] = "l2"
    """Norm in which the layer is 1-Lipschitz: "l2" or "linf"."""
    orthogonal: ClassVar[bool] = True
    """All singular values are 1, not merely at most 1."""
    per_output: ClassVar[bool] = False
    """Only each output by itself is 1-Lipschitz (unit-norm rows)."""
    every_weight: ClassVar[bool] = True
    """Sound and orthogonal from any free weight, not only after training."""
    sizes: ClassVar[tuple[tuple[int, int], ...]] = ((8, 8), (12, 5), (5, 12), (1, 7), (7, 1), (33, 32))
    """(in_features, out_features) to try."""
    bad_arguments: ClassVar[tuple[dict[str, Any], ...]] = ()
    """Options beyond sizes that the constructor must refuse."""

    @abstractmethod
    def make(self, in_features: int, out_features: int, **options: Any) -> nn.Module:
        """The layer under test; options are bias, device, dtype and what `bad_arguments` names."""

    def pytest_generate_tests(self, metafunc: Any) -> None:
        if "size" in metafunc.fixturenames:
            metafunc.parametrize("size", self.sizes, ids=lambda s: f"{s[0]}to{s[1]}")
        if "dtype" in metafunc.fixturenames:
            metafunc.parametrize("dtype", (torch.float32, torch.float64), ids=("float32", "float64"))

    # --- the claims --------------------------------------------------------------------------------------------------

    def test_constraint_holds_at_the_start_and_after_training(self, size: tuple[int, int], dtype: torch.dtype) -> None:
        layer, inputs = self._layer(size, dtype)
        self._assert_constraint(layer, "at the start")
        for way in updated(layer, inputs):
            self._assert_constraint(layer, f"after {way}")

    def test_constraint_holds_from_any_weight(self, size: tuple[int, int], dtype: torch.dtype) -> None:
        layer, _ = self._layer(size, dtype)
        for name, weight in nasty_weights(self._free(layer).shape, dtype):
            with torch.no_grad():
                self._free(layer).copy_(weight)
            project(layer)
            self._assert_constraint(layer, f"at a {name} weight")

    def test_starts_with_gain_one(self, size: tuple[int, int]) -> None:
        if not self.orthogonal:
            return
        layer, _ = self._layer(size, torch.float64)
        values = torch.linalg.svdvals(self._weight(layer))
        assert float((values - 1).abs().max()) < TOLERANCE[torch.float64] + _SVD_ROUNDING

    def test_pairs_are_not_stretched(self, size: tuple[int, int], dtype: torch.dtype) -> None:
        layer, _ = self._layer(size, dtype)
        bound = taut.lipschitz_bound(layer, norm=self.norm)
        plain = taut.fold(layer).double()
        generator = torch.Generator().manual_seed(1)
        x = torch.randn(64, size[0], generator=generator, dtype=torch.float64)
        steps = torch.logspace(-3, 3, 64, dtype=torch.float64).unsqueeze(1)
        leading = torch.linalg.svd(self._weight(layer))[2][0]
        for direction in (torch.randn(64, size[0], generator=generator, dtype=torch.float64), leading.expand(64, -1)):
            y = x + steps * direction
            order = 2 if self.norm == "l2" else torch.inf
            change = torch.linalg.vector_norm(plain(y) - plain(x), ord=order, dim=1)
            distance = torch.linalg.vector_norm(y - x, ord=order, dim=1)
            rounding = 1e3 * torch.finfo(torch.float64).eps * (1 + x.abs().sum(1) + y.abs().sum(1))
            assert bool((change <= bound * distance + rounding).all())

    # --- gradients ---------------------------------------------------------------------------------------------------

    def test_gradients_are_exact(self, size: tuple[int, int]) -> None:
        layer, inputs = self._layer((min(size[0], 6), min(size[1], 6)), torch.float64, batch=2)
        checks.scramble(layer)  # the weights at the start may lie on a kink
        names = [name for name, _ in layer.named_parameters()]

        def call(x: Tensor, *parameters: Tensor) -> Tensor:
            return torch.func.functional_call(layer, dict(zip(names, parameters, strict=True)), (x,))

        values = [p.detach().clone().requires_grad_() for p in layer.parameters()]
        assert torch.autograd.gradcheck(call, (inputs.requires_grad_(), *values))

    def test_every_parameter_gets_a_gradient(self, size: tuple[int, int]) -> None:
        layer, inputs = self._layer(size, torch.float32)
        (layer(inputs) * torch.randn_like(layer(inputs))).sum().backward()
        for name, parameter in layer.named_parameters():
            fixed = max(size) == 1 or (self.per_output and size[0] == 1)  # a unit row of one entry is 1 or -1
            assert parameter.grad is not None, f"{name} gets no gradient"
            assert fixed or bool(parameter.grad.any()), f"the gradient of {name} is zero"
            assert bool(parameter.grad.isfinite().all()), f"the gradient of {name} is not finite"

    # --- life with torch ---------------------------------------------------------------------------------------------

    def test_output_follows_the_parameters(self, size: tuple[int, int]) -> None:
        layer, inputs = self._layer(size, torch.float32)
        checks.assert_stateless(layer, inputs)
        checks.assert_copies_follow(layer, inputs)
        if self.every_weight:
            checks.assert_averages_follow(layer, inputs)

    def test_edits_in_eval_mode_take_effect(self, size: tuple[int, int]) -> None:
        layer, inputs = self._layer(size, torch.float32)
        layer.eval()
        before = layer(inputs)
        checks.scramble(layer)
        assert not torch.equal(layer(inputs), before)
        layer(inputs).sum().backward()
        assert all(p.grad is not None for p in layer.parameters()), "no gradient in eval mode"

    def test_constraint_ignores_autocast(self, size: tuple[int, int]) -> None:
        layer, inputs = self._layer(size, torch.float32)
        weight = self._weight(layer, dtype=None)
        for half in (torch.bfloat16, torch.float16):
            with torch.autocast("cpu", dtype=half):
                checks.assert_same(self._weight(layer, dtype=None), weight, f"weight under {half} autocast")
                checks.assert_same(self._weight(taut.fold(layer), dtype=None), weight, f"folded under {half} autocast")
                assert layer(inputs).dtype == half

    def test_precision_and_device_moves(self, size: tuple[int, int]) -> None:
        layer, inputs = self._layer(size, torch.float32)
        double = layer.double()
        project(double)
        self._assert_constraint(double, "after .double()")
        half = taut.fold(layer).bfloat16()
        assert half(inputs.bfloat16()).dtype == torch.bfloat16
        gain = torch.linalg.matrix_norm(self._weight(half), ord=2 if self.norm == "l2" else torch.inf)
        assert float(gain) <= taut.lipschitz_bound(half, norm=self.norm) * (1 + _SVD_ROUNDING)
        assert self.make(*size, device="meta").weight.device.type == "meta"

    def test_folds_to_plain_torch(self, size: tuple[int, int], dtype: torch.dtype) -> None:
        layer, inputs = self._layer(size, dtype)
        plain = checks.assert_folds_to_plain_torch(layer, inputs)
        checks.assert_same(self._weight(plain, dtype=None), self._weight(layer, dtype=None), "folded weight")

    def test_exports(self) -> None:
        layer, inputs = self._layer((6, 4), torch.float32)
        checks.assert_exports(layer, inputs)

    def test_bad_arguments_are_refused(self) -> None:
        wrong = [{"in_features": v} for v in (0, -1, 2.5, True)] + [{"out_features": v} for v in (0, -3)]
        for options in [*wrong, *self.bad_arguments]:
            arguments: dict[str, Any] = {"in_features": 4, "out_features": 4, **options}
            sizes = arguments.pop("in_features"), arguments.pop("out_features")
            checks.assert_refused(lambda s=sizes, a=arguments: self.make(*s, **a), next(iter(options.values())))

    # --- helpers -----------------------------------------------------------------------------------------------------

    def _layer(self, size: tuple[int, int], dtype: torch.dtype, *, batch: int = 5) -> tuple[Any, Tensor]:
        torch.manual_seed(0)
        return self.make(*size, dtype=dtype), torch.randn(batch, size[0], dtype=dtype)

    @staticmethod
    def _free(layer: Any) -> Tensor:
        return layer.parametrizations.weight.original if hasattr(layer, "parametrizations") else layer.weight

    @staticmethod
    def _weight(layer: Any, dtype: torch.dtype | None = torch.float64) -> Tensor:
        return layer.weight.detach().to(dtype or layer.weight.dtype)

    def _assert_constraint(self, layer: Any, when: str) -> None:
        weight = self._weight(layer)
        tolerance = TOLERANCE[layer.weight.dtype] + _SVD_ROUNDING
        assert bool(weight.isfinite().all()), f"weight is not finite {when}"
        values = torch.linalg.svdvals(weight)
        gain = float(values[0]) if self.norm == "l2" else float(weight.abs().sum(1).max())
        bound = taut.lipschitz_bound(layer, norm=self.norm)
        assert gain <= bound * (1 + _SVD_ROUNDING), f"gain {gain!r} above the proven bound {bound!r} {when}"
        if self.per_output:
            rows = float(torch.linalg.vector_norm(weight, dim=1).max())
            assert rows <= 1 + tolerance, f"row norm {rows!r} above 1 {when}"
        else:
            assert bound <= 1 + tolerance + _PROOF_EXCESS, f"proven bound {bound!r} above 1 {when}"
            assert gain <= 1 + tolerance, f"gain {gain!r} above 1 {when}"
        if self.orthogonal:
            assert float(values[-1]) >= 1 - tolerance, f"smallest singular value {float(values[-1])!r} below 1 {when}"
