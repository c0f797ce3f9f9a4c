"""The contract of any map with a Lipschitz constant: residual blocks, pooling, normalisation, compositions."""

from abc import ABC, abstractmethod
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

import taut
from taut.testing import checks
from taut.testing.linear import TOLERANCE
from taut.testing.updates import nasty_weights, project, updated

_ROUNDING = 256 * torch.finfo(torch.float64).eps
Case = tuple[dict[str, Any], tuple[int, ...]]
"""Options of the constructor, and an input shape with the batch first."""


class MapContract(ABC):
    """Inherit in a test class, say how to make the map and on which inputs; pytest runs the rest.

    class TestMyBlock(MapContract):
        cases = (({"features": 6}, (2, 6)),)

        def make(self, **options):
            return MyBlock(**options)
    """

    cases: ClassVar[tuple[Case, ...]]
    """What to try."""
    norms: ClassVar[tuple[str, ...]] = ("l2",)
    """Norms in which the constant holds."""
    constant: ClassVar[float] = 1.0
    """The Lipschitz constant that it claims."""
    orthogonal: ClassVar[bool] = False
    """All singular values of the Jacobian are 1 wherever it exists."""
    proof_excess: ClassVar[float] = 1e-6
    """What a proven bound may exceed the claim by, relative, beyond the precision of the weights."""
    every_weight: ClassVar[bool] = True
    """Sound from any parameters, not only after training."""
    stateless: ClassVar[bool] = True
    """The same in training and evaluation mode, with nothing that moves; else it is tested in evaluation mode."""
    smooth: ClassVar[bool] = True
    """Differentiable almost everywhere with the derivative that autograd gives."""
    exports: ClassVar[bool] = True
    """ONNX can hold it."""
    unused: ClassVar[tuple[str, ...]] = ()
    """Parameters that may have a zero gradient at the start."""
    bad_arguments: ClassVar[tuple[dict[str, Any], ...]] = ()
    """Options that the constructor must refuse; the message names the first value."""
    bad_inputs: ClassVar[tuple[Case, ...]] = ()
    """Inputs that the forward pass must refuse; the message names the last size."""

    @abstractmethod
    def make(self, **options: Any) -> nn.Module:
        """The map under test, in float32."""

    def pytest_generate_tests(self, metafunc: Any) -> None:
        if {"case", "dtype"} <= set(metafunc.fixturenames):
            tried = [(case, torch.float32) for case in self.cases]
            tried += [(case, torch.float64) for case in self.thorough_cases()]
            metafunc.parametrize(("case", "dtype"), tried, ids=str)
            return
        kinds = {"case": self.cases, "thorough_case": self.thorough_cases(), "dearest_case": self.dearest_cases()}
        for fixture, cases in kinds.items():
            if fixture in metafunc.fixturenames:
                metafunc.parametrize(fixture, cases, ids=str)

    # --- the claims --------------------------------------------------------------------------------------------------

    def test_constant_holds_at_the_start_and_after_training(self, case: Case, dtype: torch.dtype) -> None:
        module, inputs = self._module(case, dtype)
        self._assert_constant(module, inputs, "at the start")
        if any(p.requires_grad for p in module.parameters()):
            for way in updated(module, inputs):
                self._assert_gain(
                    module, inputs, dict.fromkeys(self.norms, self._allowed(module, inputs)), f"after {way}"
                )
            self._assert_constant(module, inputs, "after training")

    def test_constant_holds_from_any_parameters(self, dearest_case: Case) -> None:
        if not self.every_weight:
            return
        dtype = torch.float32
        module, inputs = self._module(dearest_case, dtype)
        start = {name: p.detach().clone() for name, p in self._free(module).items()}
        for name, parameter in self._free(module).items():
            rows = parameter.shape[0] if parameter.dim() > 1 else 1
            for kind, value in nasty_weights(torch.Size((rows, parameter.numel() // rows)), dtype):
                with torch.no_grad():
                    parameter.copy_(value.reshape(parameter.shape))
                project(module)
                self._assert_constant(module, inputs, f"at a {kind} {name}")
            with torch.no_grad():
                parameter.copy_(start[name])

    def test_pairs_are_not_stretched(self, thorough_case: Case) -> None:
        module, inputs = self._module(thorough_case, torch.float64)
        plain = self._plain(module)
        generator = torch.Generator().manual_seed(1)
        for norm in self.norms:
            order = 2 if norm == "l2" else torch.inf
            bound = self._bound(module, inputs, norm)
            for scale in (1e-3, 1.0, 1e3):
                x = torch.randn(inputs.shape, generator=generator, dtype=torch.float64)
                y = x + scale * torch.randn(inputs.shape, generator=generator, dtype=torch.float64)
                change = torch.linalg.vector_norm((plain(x) - plain(y)).flatten(1), ord=order, dim=1)
                distance = torch.linalg.vector_norm((x - y).flatten(1), ord=order, dim=1)
                rounding = (
                    1e3 * torch.finfo(torch.float64).eps * (1 + x.flatten(1).norm(dim=1) + y.flatten(1).norm(dim=1))
                )
                assert bool((change <= bound * distance + rounding).all()), f"stretched in {norm} at {scale}"

    # --- gradients ---------------------------------------------------------------------------------------------------

    def test_gradients_are_exact(self, case: Case) -> None:
        if not self.smooth:
            return
        module, inputs = self._module(case, torch.float64)
        inputs = inputs[:1].clone()
        names = [name for name, _ in module.named_parameters()]

        def call(x: Tensor, *parameters: Tensor) -> Tensor:
            return torch.func.functional_call(module, dict(zip(names, parameters, strict=True)), (x,))

        values = [p.detach().clone().requires_grad_() for p in module.parameters()]
        assert torch.autograd.gradcheck(call, (inputs.requires_grad_(), *values), fast_mode=True)

    def test_every_parameter_gets_a_gradient(self, case: Case) -> None:
        module, inputs = self._module(case, torch.float32)
        output = module(inputs)
        if not any(p.requires_grad for p in module.parameters()):
            return
        (output * torch.randn_like(output)).sum().backward()
        for name, parameter in module.named_parameters():
            assert parameter.grad is not None, f"{name} gets no gradient"
            assert name in self.unused or bool(parameter.grad.any()), f"the gradient of {name} is zero"
            assert bool(parameter.grad.isfinite().all()), f"the gradient of {name} is not finite"

    # --- life with torch ---------------------------------------------------------------------------------------------

    def test_output_follows_the_parameters(self, thorough_case: Case) -> None:
        module, inputs = self._module(thorough_case, torch.float32)
        if self.stateless:
            checks.assert_stateless(module, inputs)
        checks.assert_copies_follow(module, inputs)
        if self.every_weight and any(True for _ in module.parameters()):
            checks.assert_averages_follow(module, inputs)

    def test_folds_to_plain_torch(self, case: Case, dtype: torch.dtype) -> None:
        module, inputs = self._module(case, dtype)
        checks.assert_folds_to_plain_torch(module, inputs)

    def test_folding_keeps_the_bound(self, thorough_case: Case) -> None:
        module, inputs = self._module(thorough_case, torch.float32)
        for norm in self.norms:
            bounds = [self._bound(m, inputs, norm) for m in (module, taut.fold(module))]
            assert abs(bounds[0] - bounds[1]) <= (TOLERANCE[torch.float32] + self.proof_excess) * bounds[0]

    def test_constraint_ignores_autocast(self, thorough_case: Case) -> None:
        module, inputs = self._module(thorough_case, torch.float32)
        expected = taut.fold(module).state_dict()
        for half in (torch.bfloat16, torch.float16):
            with torch.autocast("cpu", dtype=half):
                for name, value in taut.fold(module).state_dict().items():
                    checks.assert_same(value, expected[name], f"{name} folded under {half} autocast")
                assert bool(module(inputs).isfinite().all())

    def test_half_precision_after_folding(self, thorough_case: Case) -> None:
        module, inputs = self._module(thorough_case, torch.float32)
        half = taut.fold(module).bfloat16()
        assert half(inputs.bfloat16()).dtype == torch.bfloat16
        if any(True for _ in module.parameters()):
            bounds = {norm: self._bound(half, inputs, norm) for norm in self.norms}
            self._assert_gain(half, inputs, bounds, "in bfloat16", orthogonal=False)

    def test_channels_last_and_empty_batches(self, thorough_case: Case) -> None:
        module, inputs = self._module(thorough_case, torch.float64)
        module.eval()
        if inputs.dim() == 4:
            last = inputs.contiguous(memory_format=torch.channels_last)
            checks.assert_close(module(last), module(inputs), "channels_last")
        assert module(inputs[:0]).shape == (0, *module(inputs).shape[1:])

    def test_exports(self) -> None:
        if self.exports:
            module, inputs = self._module(self.first_case(), torch.float32)
            checks.assert_exports(module, inputs)

    def test_bad_arguments_are_refused(self) -> None:
        for options in self.bad_arguments:
            merged = {**self.first_case()[0], **options}
            checks.assert_refused(lambda merged=merged: self.make(**merged), next(iter(options.values())))
        for options, shape in self.bad_inputs:
            checks.assert_refused(lambda o=options, s=shape: self.make(**o)(torch.zeros(s)), shape[-1])

    # --- helpers -----------------------------------------------------------------------------------------------------

    def thorough_cases(self) -> tuple[Case, ...]:
        """The cases for the dearer tests."""
        return self.cases

    def dearest_cases(self) -> tuple[Case, ...]:
        """The cases that are tried with every kind of parameters."""
        return self.thorough_cases()

    def first_case(self) -> Case:
        """Options and input shape of an example."""
        return self.cases[0]

    def _module(self, case: Case, dtype: torch.dtype) -> tuple[Any, Tensor]:
        torch.manual_seed(0)
        options, shape = case
        module = self.make(**options).to(dtype)
        project(module)
        return module if self.stateless else module.eval(), torch.randn(shape, dtype=dtype)

    @staticmethod
    def _free(module: nn.Module) -> dict[str, nn.Parameter]:
        """Parameters to which the nasty values are given, by name."""
        return dict(module.named_parameters())

    @staticmethod
    def _plain(module: nn.Module) -> nn.Module:
        return taut.fold(module).double().eval()

    @staticmethod
    def _jacobian(module: nn.Module, x: Tensor) -> Tensor:
        """Outputs x inputs matrix of the derivative at one sample."""
        return checks.jacobian(module, x)

    def _points(self, inputs: Tensor) -> tuple[Tensor, ...]:
        """Where to take the Jacobian: somewhere, nearby zero, far away, and where entries tie."""
        one = inputs[:1].double()
        points = (one, 1e-3 * one, 100 * one, one.round(), torch.zeros_like(one))
        return points[:3] if self.orthogonal else points

    def _bound(self, module: nn.Module, inputs: Tensor, norm: str) -> float:
        return taut.lipschitz_bound(module, norm=norm, input_shape=inputs.shape[1:])

    def _keeps_norms(self, module: nn.Module, inputs: Tensor) -> bool:
        """Whether all singular values must be 1 here."""
        del module, inputs
        return self.orthogonal

    def _allowed(self, module: nn.Module, inputs: Tensor) -> float:
        """The claim, and what rounding and the proof may add."""
        return self.constant * (1 + TOLERANCE[_dtype(module, inputs)] + _ROUNDING + self.proof_excess)

    def _assert_gain(
        self, module: nn.Module, inputs: Tensor, bounds: dict[str, float], when: str, *, orthogonal: bool = True
    ) -> None:
        """No Jacobian exceeds the bounds, and where orthogonality is claimed no singular value is below 1."""
        plain = self._plain(module)
        points = self._points(inputs)
        for x in points[:1] if isinstance(plain, _AFFINE) else points:
            jacobian = self._jacobian(plain, x)
            assert bool(jacobian.isfinite().all()), f"the Jacobian is not finite {when}"
            values = torch.linalg.svdvals(jacobian)
            gains = {"l2": float(values[0]), "linf": float(jacobian.abs().sum(1).max())}
            for norm, bound in bounds.items():
                gain = gains[norm]
                assert gain <= bound * (1 + _ROUNDING), f"gain {gain!r} above the bound {bound!r} in {norm} {when}"
            if orthogonal and self._keeps_norms(module, inputs):
                least = float(values[-1])
                tolerance = TOLERANCE[_dtype(module, inputs)] + _ROUNDING
                assert least >= 1 - tolerance, f"smallest singular value {least!r} below 1 {when}"

    def _assert_constant(self, module: nn.Module, inputs: Tensor, when: str) -> None:
        """The proven bound holds, and is what is claimed."""
        bounds = {norm: self._bound(module, inputs, norm) for norm in self.norms}
        self._assert_gain(module, inputs, bounds, when)
        for norm, bound in bounds.items():
            allowed = self._allowed(module, inputs)
            assert bound <= allowed, f"proven bound {bound!r} above {self.constant} in {norm} {when}"


_AFFINE = (nn.Linear, *(getattr(nn, f"Conv{kind}{n}d") for kind in ("", "Transpose") for n in (1, 2, 3)))
"""What the fold of a layer can be whose Jacobian is the same everywhere."""


def _dtype(module: nn.Module, inputs: Tensor) -> torch.dtype:
    return next((p.dtype for p in module.parameters()), inputs.dtype)
