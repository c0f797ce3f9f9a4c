"""Functions and methods in a forward: each lowers to what it computes, or is refused by name."""

import operator
import re
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from taut.certify import lower

ROOM = 1e-13
"""Relative distance of two float64 evaluations."""
V, M, IMAGE = (6,), (4, 6), (2, 4, 6)
C = torch.linspace(-1, 2, 6, dtype=torch.float64)
ROWS = torch.randn(3, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
FOUR, THREE = torch.full((4,), 0.7, dtype=torch.float64), torch.full((3,), 0.7, dtype=torch.float64)

Forward = Callable[[Any], Any]


class Model(nn.Module):
    """With a forward of one's own."""

    def __init__(self, forward: Callable[..., Any]) -> None:
        super().__init__()
        self.function = forward
        self.layer, self.other = nn.Linear(6, 6), nn.Linear(6, 6)
        self.inplace = nn.ReLU(inplace=True)
        self.softmax = nn.Softmax(1)

    def forward(self, x: Tensor) -> Tensor:
        return self.function(self, x)


LOWERED: dict[str, tuple[tuple[int, ...], Forward]] = {
    # entry by entry
    "relu": (V, lambda x: F.relu(x) + x.relu() + torch.relu(x)),
    "abs": (V, lambda x: abs(x) + x.abs() - torch.abs(x)),
    "neg": (V, lambda x: -x + x.neg() + torch.neg(x)),
    "tanh": (V, lambda x: x.tanh() + torch.tanh(x) + F.tanh(x)),
    "sigmoid": (V, lambda x: x.sigmoid() + torch.sigmoid(x) + F.sigmoid(x)),
    "relu6": (V, lambda x: F.relu6(x * 9)),
    "clamp": (V, lambda x: x.clamp(-0.5, 1) + torch.clamp(x, max=0.3) + x.clamp(min=0)),
    "hardtanh": (V, lambda x: F.hardtanh(x) + F.hardtanh(x, -0.3, 0.4)),
    "functions of modules": (V, lambda x: F.leaky_relu(x, 0.2) + F.elu(x, 0.5) + F.silu(x) + F.gelu(x) + F.selu(x)),
    "more of them": (V, lambda x: F.celu(x, 2.0) + F.hardsigmoid(x) + F.dropout(x, 0.5, False)),
    # constants
    "plus a constant": (V, lambda x: (x + 2) + (3 + x) + torch.add(x, 1.5) + x.add(C) + (C + x)),
    "minus a constant": (V, lambda x: (x - 2) + (3 - x) + torch.sub(x, 1.5) + x.sub(C) + (C - x)),
    "times a constant": (V, lambda x: (x * 2) + (3 * x) + torch.mul(x, 1.5) + x.mul(C) + (C * x)),
    "over a constant": (V, lambda x: x / 3 + x / -7.0 + torch.div(x, 4) + x.div(-0.5)),
    "constants that are broadcast": (IMAGE, lambda x: x * C + torch.ones(1, 2, 1, 6) - x * torch.ones(4, 1)),
    "integers and flags": (V, lambda x: x * torch.arange(6) + x * (C > 0)),
    "computed constants": (V, lambda x: x + C.exp() * C.norm()),
    # several
    "sums": (V, lambda x: x.relu() + x.tanh() - x),
    "in place": (V, lambda x: operator.isub(operator.iadd(x * 2, x), 1)),
    "extremes": (V, lambda x: torch.maximum(x, -x) + torch.minimum(x * 2, x).maximum(x - 1).minimum(x + 1)),
    "the same twice": (V, lambda x: x + x),
    "cat": (M, lambda x: torch.cat([x, x.relu(), x], dim=1) + torch.concat((x, x, x), 1)),
    "cat last": (M, lambda x: torch.cat([x, x[:, :, :2]], -1)),
    "cat of one": (M, lambda x: torch.cat([x], 1)),
    "stack": (M, lambda x: torch.stack([x, -x], 1).sum(1) + torch.stack((x, x), dim=-1).sum(-1)),
    # products with matrices
    "linear": (M, lambda x: F.linear(x, ROWS) + F.linear(x, ROWS, THREE) + x @ ROWS.T + x.matmul(ROWS.T)),
    "batch norm": (M, lambda x: F.batch_norm(x, FOUR, 3 * FOUR, FOUR, -FOUR)),
    # sizes
    "view": (IMAGE, lambda x: x.view(x.size(0), -1) + x.reshape(x.shape[0], x.size(1) * 24) + x.reshape(len_of(x), 48)),
    "flatten": (IMAGE, lambda x: x.flatten(1) + torch.flatten(x, 1) + x.view(-1, x.shape[1] * x.shape[2] * x.shape[3])),
    "unflatten": (V, lambda x: x.unflatten(1, (2, 3)) + torch.unflatten(x, -1, (2, -1)) + x.view(-1, 2, 3)),
    "squeeze": ((1, 6), lambda x: x.squeeze(1) + torch.squeeze(x, 1) + x.unsqueeze(2).squeeze(1).squeeze(1)),
    "kept as it is": (V, lambda x: x.contiguous().clone().detach()),
    # axes
    "permute": (IMAGE, lambda x: x.permute(0, 3, 1, 2) + torch.permute(x, (0, -1, 1, 2))),
    "transpose": (IMAGE, lambda x: x.transpose(1, 3) + torch.transpose(x, -1, 1) + x.swapaxes(1, 3)),
    "movedim": (IMAGE, lambda x: x.movedim(1, 3) + torch.movedim(x, 1, -1)),
    # pieces
    "chunk": (IMAGE, lambda x: x.chunk(2, 2)[1] + torch.chunk(x, 2, dim=2)[0]),
    "split": (M, lambda x: torch.split(x, [1, 3], 1)[1] + x.split(3, dim=1)[0]),
    "unbind": (M, lambda x: x.unbind(1)[2] + torch.unbind(x, dim=1)[-1]),
    "tensor_split": (M, lambda x: x.tensor_split((1, 3), dim=1)[1] + x.tensor_split(2, 1)[0]),
    "getitem": (IMAGE, lambda x: x[:, 1] + x[:, 0, :, :] + x[:, -1:, ...][:, 0]),
    "getitem more": (M, lambda x: x[..., [0, 0, 3]] + x[:, :, ::2] + x[:, None][:, 0, :, 1:4]),
    "getitem by numbers": (M, lambda x: x[:, torch.tensor([3, 0, 0])] + x[:, 1:]),
    "narrow": (M, lambda x: x.narrow(1, 1, 2) + torch.narrow(x, 1, 0, 2) + x[:, 2:]),
    "select": (M, lambda x: x.select(1, 2) + torch.select(x, 1, -1) + x.index_select(1, torch.tensor([1]))[:, 0]),
    "roll": (M, lambda x: x.roll(1, 1) + torch.roll(x, (1, 2), (1, 2)) + x.roll(shifts=-1, dims=-1)),
    "flip": (M, lambda x: x.flip(1) + torch.flip(x, (1, 2)) + x.flip(dims=(-1,))),
    "repetitions": (M, lambda x: x.repeat_interleave(2, 1) + x.repeat(1, 2, 1) + torch.tile(x, (2, 1))),
    "expand": ((1, 6), lambda x: x.expand(-1, 4, -1)),
    "unfold": (V, lambda x: x.unfold(1, 3, 2)),
    # reductions
    "mean": (IMAGE, lambda x: x.mean((2, 3)) + torch.mean(x, dim=(-1, -2)) + x.mean(3).mean(2)),
    "sum": (IMAGE, lambda x: x.sum(1) + torch.sum(x, dim=1) + x.sum(axis=1)),
    "kept axes": (IMAGE, lambda x: x.sum(1, True) + x.mean(1, keepdim=True) + x.amax(1, keepdim=True)),
    "extremes of axes": (IMAGE, lambda x: x.amax((1, 3)) - torch.amin(x, (1, 3)) + x.amin(dim=(3, 1))),
    "norms": (IMAGE, lambda x: torch.linalg.vector_norm(x, dim=(1, 2)) + torch.linalg.vector_norm(x, 2, (1, 2))),
    "norms, kept": (IMAGE, lambda x: torch.linalg.vector_norm(x, dim=-1, keepdim=True)),
    # windows and borders
    "pad": (IMAGE, lambda x: F.pad(x, (1, 2)) + F.pad(x, [1, 2, 0, 0], value=0.0)),
    "pad by copies": (
        IMAGE,
        lambda x: F.pad(x, (1, 2, 1, 1), mode="reflect") + F.pad(x, (1, 2, 1, 1), mode="circular"),
    ),
    "pad by sizes": (IMAGE, lambda x: F.pad(x, (0, x.shape[3] - x.shape[2]))),
    "pools": (IMAGE, lambda x: F.max_pool2d(x, 2) + F.avg_pool2d(x, 2) + F.adaptive_avg_pool2d(x, (2, 3))),
    "interpolate": (
        IMAGE,
        lambda x: F.interpolate(x, scale_factor=2) + F.interpolate(x, (x.shape[2] * 2, x.shape[3] * 2)),
    ),
    "shuffle": ((4, 2, 2), lambda x: F.pixel_unshuffle(F.pixel_shuffle(x, 2), 2)),
}


def len_of(x: Any) -> Any:
    return x.size()[0]


@pytest.mark.parametrize("name", LOWERED)
def test_calls_compute_what_torch_does(name: str) -> None:
    shape, function = LOWERED[name]
    torch.manual_seed(0)
    x = torch.randn(5, *shape, dtype=torch.float64)
    program = lower(Model(lambda model, x: function(x)).eval(), shape)
    wanted = function(x.clone())
    computed = program(x)
    assert computed.shape == wanted.shape == (5, *program.shape(len(program.nodes)))
    assert float((computed - wanted).abs().max()) <= ROOM * max(1.0, float(wanted.abs().max()))


REFUSED: dict[str, tuple[tuple[int, ...], Callable[[Any, Any], Any], str]] = {
    # samples of a batch
    "cat": (V, lambda m, x: torch.cat([x, x]), "works along axis 0"),
    "stack": (V, lambda m, x: torch.stack([x, x]), "works along axis 0"),
    "mean": (V, lambda m, x: x.mean(0), "works along axis 0"),
    "sum": (V, lambda m, x: x.sum(), "name the axes"),
    "amax": (V, lambda m, x: x.amax(()), "name the axes"),
    "flip": (V, lambda m, x: x.flip(0), "mixes the samples"),
    "roll": (V, lambda m, x: x.roll(6, 0), "along the samples"),
    "split": (V, lambda m, x: x.split(64)[0], "along the samples"),
    "chunk": (V, lambda m, x: x.chunk(1)[0], "along the samples"),
    "unbind": (V, lambda m, x: torch.unbind(x)[0], "samples of a batch"),
    "narrow": (V, lambda m, x: x.narrow(0, 0, 2), "along the samples"),
    "getitem": (V, lambda m, x: x[:64], "picks samples"),
    "permute": (M, lambda m, x: x.permute(1, 0, 2), "mixes the samples"),
    "transpose": (V, lambda m, x: x.transpose(0, 1), "mixes the samples"),
    "reshape": (V, lambda m, x: x.reshape(-1, 3), "mixes the samples"),
    "view": (V, lambda m, x: x.view(2, -1), "mixes the samples"),
    "flatten": (V, lambda m, x: x.flatten(), "mixes the samples"),
    "repeat": (V, lambda m, x: x.repeat(2, 1), "mixes the samples"),
    "unsqueeze": (V, lambda m, x: x.unsqueeze(0), "mixes the samples"),
    # constants
    "add": (V, lambda m, x: x + torch.ones(2, 6), "another one for each sample"),
    "mul": (V, lambda m, x: x * torch.ones(6, 1, 6), "another one for each sample"),
    "truediv": (V, lambda m, x: x / torch.ones(6), "only numbers other than 0"),
    "div": (V, lambda m, x: torch.div(x, 0.0), "only numbers other than 0"),
    "pad": (V, lambda m, x: F.pad(x, (1, 1), value=1.0), "only zeros can be padded"),
    "batch_norm": (M, lambda m, x: F.batch_norm(x, torch.ones(4), torch.ones(4), training=True), "of the batch"),
    # what has no operation, or options that change it
    "matmul": (V, lambda m, x: ROWS @ x, "cannot be certified"),
    "pow": (V, lambda m, x: x**2, "cannot be certified"),
    "sub": (V, lambda m, x: torch.sub(x, 1, alpha=2), "cannot be certified"),
    "max": (V, lambda m, x: x.max(1).values, "cannot be certified"),
    "mean of another dtype": (V, lambda m, x: x.mean(1, dtype=torch.float16), "dtype has no certificate"),
    "linalg_vector_norm": (V, lambda m, x: torch.linalg.vector_norm(x, 1, 1), "only Euclidean norms"),
    "add_": (V, lambda m, x: x.add_(1), "cannot be certified"),
    "relu_": (V, lambda m, x: torch.relu_(x), "cannot be certified"),
    "dropout": (V, lambda m, x: F.dropout(x, 0.5), "call .eval()"),
    "sigmoid times": (V, lambda m, x: x.sigmoid() * x, "cannot be certified"),
    # changed in place, and read again
    "relu": (V, lambda m, x: F.relu(x, True) + x, "changes in place what is read later"),
    "leaky_relu": (V, lambda m, x: F.leaky_relu(x, 0.1, inplace=True) + x, "changes in place what is read later"),
    "hardtanh": (V, lambda m, x: F.hardtanh(x, -1.0, 1.0, True) + x, "changes in place what is read later"),
    "iadd": (V, lambda m, x: operator.iadd(x, 1.0) + x, "changes in place what is read later"),
    "imul of a view": (V, lambda m, x: operator.imul(x.view(-1, 6), 2.0) + x, "changes in place what is read later"),
    "ReLU": (V, lambda m, x: m.inplace(x) + x, "'inplace' (ReLU) changes in place what is read later"),
    # outputs and inputs
    "two outputs": (V, lambda m, x: (x, x), "must return one tensor"),
    "a dictionary": (V, lambda m, x: {"logits": x}, "must return one tensor"),
    "a constant": (V, lambda m, x: torch.ones(6), "must return one tensor"),
    "a branch on the data": (V, lambda m, x: x if x.sum() > 0 else -x, "cannot trace"),
    "softmax of what is dead": (V, lambda m, x: (m.softmax(x), x)[1], "'softmax' (Softmax)"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_calls_are_refused_by_name(name: str) -> None:
    shape, function, reason = REFUSED[name]
    with pytest.raises(TypeError, match=re.escape(reason)) as caught:
        lower(Model(function).eval(), shape)
    assert "\n" not in str(caught.value)
    plain = name.isidentifier() and name != "ReLU"
    assert not plain or f"the call of '{name}' in module '(model)'" in str(caught.value)


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda m, x: x + x[:, :1], r"'add'.*shapes \(6,\), \(1,\) would be broadcast"),
        (lambda m, x: x.amax(1, keepdim=True) - x, r"'sub'.*would be broadcast"),
        (lambda m, x: x.sum(1, keepdim=True) * torch.ones(6), r"'mul'.*repeats inputs of shape \(1,\)"),
        (lambda m, x: x.view(x.shape[0], 5), "'view'.*invalid"),
        (lambda m, x: x * float("inf"), "'mul'.*constants must be finite"),
        (lambda m, x: x / 2.0**-1074, "'truediv'.*constants must be finite"),
        (lambda m, x: x.clamp(min=float("nan")), "'clamp'.*must be numbers"),
        (lambda m, x: torch.cat([x, x.view(-1, 2, 3)], 1), "'cat'.*does not take"),
        (lambda m, x: m.layer(x[:, 1:]), r"'layer' \(Linear\).*6 features"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(function: Callable[[Any, Any], Any], message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        lower(Model(function).eval(), V)
    assert "\n" not in str(caught.value)


class Two(nn.Module):
    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        return x + y


def test_several_inputs_are_refused() -> None:
    with pytest.raises(TypeError, match="cannot trace the forward of Two"):
        lower(Two(), V)


def test_what_is_not_needed_is_left_out() -> None:
    def forward(model: Model, x: Tensor) -> Tensor:
        kept = model.layer(x)
        model.other(kept)
        return kept

    torch.manual_seed(0)
    model = Model(forward)
    program = lower(model, V)
    assert [node.operation.op for node in program.nodes] == ["linear"]
    x = torch.randn(3, 6, dtype=torch.float64)
    torch.testing.assert_close(program(x), model.double()(x), rtol=ROOM, atol=0)


def test_a_program_in_the_middle_keeps_its_order() -> None:
    def forward(model: Model, x: Tensor) -> Tensor:
        first = model.layer(x)
        model.other(x)
        pieces = first.chunk(3, 1)  # of which one is not used
        return torch.cat([pieces[2], pieces[0] + x[:, :2]], 1)

    torch.manual_seed(0)
    model = Model(forward)
    program = lower(model, V)
    assert [node.operation.op for node in program.nodes] == ["linear", "take", "take", "take", "add", "concat"]
    x = torch.randn(3, 6, dtype=torch.float64)
    torch.testing.assert_close(program(x), model.double()(x), rtol=ROOM, atol=0)


def test_the_identity_is_a_program_without_nodes() -> None:
    program = lower(Model(lambda model, x: x), V)
    assert program.nodes == ()
    x = torch.randn(3, 6, dtype=torch.float64)
    assert torch.equal(program(x), x)
    assert lower(nn.Sequential(nn.Identity(), nn.Dropout()).eval(), V).nodes == ()


def test_a_layer_that_is_used_twice_is_one_operation() -> None:
    program = lower(Model(lambda model, x: model.layer(model.layer(x).relu())), V)
    first, _, second = program.nodes
    assert first.operation is second.operation
    assert (first.name, second.name) == ("layer", "layer")


def test_hooks_are_refused() -> None:
    model = Model(lambda model, x: model.layer(x))
    model.layer.register_forward_hook(lambda *args: None)
    with pytest.raises(TypeError, match=r"'layer' \(Linear\) has forward hooks"):
        lower(model, V)
