"""The contract of an activation: 1-Lipschitz in the norms it claims, with exact gradients, at home in torch."""

from abc import ABC, abstractmethod
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

import taut
from taut.testing import checks

_ROUNDING = 64 * torch.finfo(torch.float64).eps


class ActivationContract(ABC):
    """Inherit in a test class, say how to make the activation and what it computes; pytest runs the rest."""

    norms: ClassVar[tuple[str, ...]] = ("l2", "linf")
    """Norms in which it is 1-Lipschitz."""
    preserves_gradient_norm: ClassVar[bool] = True
    """The Jacobian is orthogonal wherever it exists."""
    shapes: ClassVar[tuple[tuple[int, ...], ...]] = ((3, 8), (2, 8, 3), (2, 8, 3, 5), (1, 16))
    """Input shapes to try; dimension 1 holds the channels."""
    bad_arguments: ClassVar[tuple[dict[str, Any], ...]] = ()
    """Options that the constructor must refuse."""
    bad_shapes: ClassVar[tuple[tuple[int, ...], ...]] = ()
    """Input shapes that the forward pass must refuse."""

    @abstractmethod
    def make(self, **options: Any) -> nn.Module:
        """The activation under test."""

    @abstractmethod
    def oracle(self, vector: list[float]) -> list[float]:
        """What it does to the channels of one sample, in plain Python."""

    def pytest_generate_tests(self, metafunc: Any) -> None:
        if "shape" in metafunc.fixturenames:
            metafunc.parametrize("shape", self.shapes, ids=str)

    def test_computes_its_formula(self, shape: tuple[int, ...]) -> None:
        x = self._inputs(shape)
        output = self.make()(x)
        for before, after in zip(x.movedim(1, -1).flatten(0, -2), output.movedim(1, -1).flatten(0, -2), strict=True):
            assert after.tolist() == self.oracle(before.tolist())

    def test_pairs_are_not_stretched(self, shape: tuple[int, ...]) -> None:
        module = self.make()
        for norm in self.norms:
            constant = taut.nn.constant(module, norm)
            assert constant is not None
            order = 2 if norm == "l2" else torch.inf
            for scale in (1e-6, 1e-2, 1.0, 100.0):
                x = self._inputs(shape)
                y = x + scale * torch.randn(shape, dtype=x.dtype, generator=torch.Generator().manual_seed(1))
                change = torch.linalg.vector_norm((module(x) - module(y)).flatten(1), ord=order, dim=1)
                distance = torch.linalg.vector_norm((x - y).flatten(1), ord=order, dim=1)
                assert bool((change <= constant * distance * (1 + _ROUNDING)).all()), f"stretched in {norm} at {scale}"

    def test_jacobian(self) -> None:
        module = self.make()
        for x in (self._inputs(self.shapes[0])[:1], torch.zeros(1, self.shapes[0][1], dtype=torch.float64)):
            jacobian = torch.autograd.functional.jacobian(module, x).squeeze(2).squeeze(0)  # ties at the second point
            values = torch.linalg.svdvals(jacobian)
            assert float(values[0]) <= 1 + _ROUNDING
            if self.preserves_gradient_norm and x.any():
                assert float(values[-1]) >= 1 - _ROUNDING

    def test_gradients_are_exact(self, shape: tuple[int, ...]) -> None:
        x = self._inputs(shape).requires_grad_()
        assert torch.autograd.gradcheck(self.make(), x)
        assert torch.autograd.gradgradcheck(self.make(), x)

    def test_functional_transforms_agree(self, shape: tuple[int, ...]) -> None:
        module, x = self.make(), self._inputs(shape)
        by_vmap = torch.func.vmap(lambda row: module(row.unsqueeze(0)).squeeze(0))(x)
        checks.assert_same(by_vmap, module(x), "vmap")
        by_jacrev = torch.func.jacrev(module)(x)
        checks.assert_same(by_jacrev, torch.autograd.functional.jacobian(module, x), "jacrev")  # type: ignore[arg-type]

    def test_channels_last_and_views(self) -> None:
        x = self._inputs((2, 8, 3, 5))
        module = self.make()
        last = x.contiguous(memory_format=torch.channels_last).requires_grad_()
        checks.assert_same(module(last), module(x), "channels_last")
        module(last).sum().backward()
        strided = torch.randn(2, 16, 6, dtype=x.dtype)[:, ::2, ::3].requires_grad_()
        checks.assert_same(module(strided), module(strided.detach().contiguous()), "a strided view")

    def test_life_with_torch(self, shape: tuple[int, ...]) -> None:
        module, x = self.make(), self._inputs(shape).float()
        checks.assert_stateless(module, x)
        checks.assert_copies_follow(module, x)
        plain = checks.assert_folds_to_plain_torch(module, x)
        assert [taut.nn.constant(plain, n) for n in self.norms] == [taut.nn.constant(module, n) for n in self.norms]

    def test_half_precision(self) -> None:
        x = self._inputs(self.shapes[0]).bfloat16()
        checks.assert_same(self.make()(x), self.make()(x.float()).bfloat16(), "bfloat16")

    def test_exports(self) -> None:
        checks.assert_exports(self.make(), self._inputs(self.shapes[0]).float())

    def test_bad_arguments_are_refused(self) -> None:
        for options in self.bad_arguments:
            checks.assert_refused(lambda options=options: self.make(**options), next(iter(options.values())))
        for shape in self.bad_shapes:
            checks.assert_refused(lambda shape=shape: self.make()(torch.zeros(shape)), shape[1])

    @staticmethod
    def _inputs(shape: tuple[int, ...]) -> Tensor:
        """Distinct entries, well apart and none zero, so that finite differences meet no kink."""
        count = torch.Size(shape).numel()
        order = torch.randperm(count, generator=torch.Generator().manual_seed(0)).double()
        return ((order - 0.4 * count + 0.3) / 8).reshape(shape)
