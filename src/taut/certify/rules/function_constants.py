"""Constant of a function of one tensor made of the input, whose other arguments are numbers, weights and statistics."""

import math
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.nn import functional as F

from taut.certify.breakdown import Norm
from taut.certify.norms.gram import exact_float64
from taut.certify.norms.spectral import ROW_SUMS, Proof, linf_norm_bound, prove_spectral_norm
from taut.certify.rounding import add_up, div_up, inflate, sqrt_down, sqrt_up
from taut.certify.rules.constant_rules import module_constant
from taut.certify.rules.function_modules import as_module
from taut.certify.rules.function_rules import describe, entrywise_constant
from taut.certify.rules.normalisation_rules import sample_statistics_proof, stored_statistics_proof
from taut.certify.rules.refusals import MATRIX_PRODUCTS
from taut.functional.windows import coverage, root_up

_REDUCTIONS = {torch.mean, "mean", torch.amax, "amax", torch.amin, "amin"}
_MEANS = {torch.mean, "mean"}
_SUMS = {torch.sum, "sum"}
LERPS = {torch.lerp, "lerp"}
_BY_CONSTRUCTION = "by construction"


def function_proof(
    node: fx.Node,
    source: fx.Node,
    norm: Norm,
    values: dict[fx.Node, Any],
    shape: tuple[int, ...] | None,
    *,
    result: tuple[int, ...] | None = None,
) -> Proof | None:
    """The constant of one call, proven, or None where there is no rule. `shape` is that of `source`, and `result` that
    of the call, where known.

    ValueError and TypeError, not yet naming the call, for weights and statistics that cannot be bounded.
    """
    if node.args and node.args[0] is source:
        simple = _weightless(node, norm, shape, result)
        if simple is not None:
            return Proof(bound=simple, method=describe(node))
    if node.target is F.linear or node.target in MATRIX_PRODUCTS:
        return _matrix(node, source, norm, values)
    if node.target is F.batch_norm or node.target is F.layer_norm:
        return _normalisation(node, source, norm, values)
    return None


def _weightless(
    node: fx.Node, norm: Norm, shape: tuple[int, ...] | None, result: tuple[int, ...] | None
) -> float | None:
    found = entrywise_constant(node)
    if found is not None:
        return found
    module = as_module(node) or _resized(node, result)
    if module is not None:
        found = module_constant(module, norm, shape)
        return None if found is not None and found > 1 and getattr(module, "inplace", False) else found
    if node.target in _REDUCTIONS:
        return _reduction(node, norm, shape)
    if node.target in _SUMS:
        return _sum(node, norm, shape)
    if node.target == "unfold":
        named = {**dict(zip(("dimension", "size", "step"), node.args[1:], strict=False)), **node.kwargs}
        size, step = named.get("size"), named.get("step")
        both = isinstance(size, int) and isinstance(step, int)
        return None if not both else 1.0 if norm == "linf" else root_up(coverage(size, step))  # type: ignore[arg-type]
    if node.target is torch.linalg.vector_norm:  # norms of separate groups
        order = node.args[1] if len(node.args) > 1 else node.kwargs.get("ord", 2)
        return 1.0 if norm == "l2" and order == 2 else None
    return None


def _resized(node: fx.Node, result: tuple[int, ...] | None) -> nn.Module | None:
    """`F.interpolate` to the size of another tensor, which the shapes tell."""
    named = {**dict(zip(("size", "scale_factor", "mode", "align_corners"), node.args[1:], strict=False)), **node.kwargs}
    if node.target is not F.interpolate or result is None or named.get("scale_factor") is not None:
        return None
    options: Any = {name: named[name] for name in ("mode", "align_corners") if name in named}
    plain = not named.get("antialias") and not any(isinstance(value, fx.Node) for value in options.values())
    return nn.Upsample(size=result[2:], **options) if plain else None


def _sum(node: fx.Node, norm: Norm, shape: tuple[int, ...] | None) -> float | None:
    """Sums of n entries: sqrt(n) in l2, n in linf."""
    named = {**dict(zip(("dim", "keepdim"), node.args[1:], strict=False)), **node.kwargs}
    dims: Any = named.get("dim", named.get("axis"))
    if not named.keys() <= {"dim", "axis", "keepdim"}:
        return None
    if shape is None:
        raise TypeError("its constant grows with the number of entries that it adds: give input_shape=(...)")
    listed = range(len(shape)) if dims is None else (dims,) if isinstance(dims, int) else dims
    if not isinstance(listed, range | tuple | list) or not all(isinstance(dim, int) for dim in listed):
        return None
    count = float(math.prod(shape[dim] for dim in listed or range(len(shape))))
    return sqrt_up(count) if norm == "l2" else count


def ends_and_factors(node: fx.Node, values: dict[fx.Node, Any]) -> tuple[tuple[Any, float], ...] | None:
    """Both ends of a lerp, (1 - w) start + w end, with the largest |1 - w| and |w|; None where w is no constant."""
    named = {**dict(zip(("input", "end", "weight"), node.args, strict=False)), **node.kwargs}
    weight: Any = named["weight"]
    value = values.get(weight) if isinstance(weight, fx.Node) else weight
    if isinstance(value, Tensor) and value.is_floating_point():
        exact = exact_float64(value)
        start, end = float(inflate((1.0 - exact).abs()).amax()), float(exact.abs().amax())
    elif isinstance(value, int | float) and math.isfinite(value):
        start, end = max(add_up(1.0, -value), add_up(value, -1.0)), abs(float(value))
    else:
        return None
    return (named["input"], start), (named["end"], end)


def _reduction(node: fx.Node, norm: Norm, shape: tuple[int, ...] | None) -> float | None:
    """Averages and extremes of separate groups: 1, or 1/sqrt(n) for averages of n entries in l2."""
    dims = node.args[1] if len(node.args) > 1 else node.kwargs.get("dim")
    listed = (dims,) if isinstance(dims, int) else dims
    if node.target not in _MEANS or norm == "linf" or shape is None or not isinstance(listed, (tuple, list)):
        return 1.0
    if not all(isinstance(dim, int) for dim in listed):
        return 1.0
    return div_up(1.0, sqrt_down(float(math.prod(shape[dim] for dim in listed))))  # type: ignore[index, misc]


def _matrix(node: fx.Node, source: fx.Node, norm: Norm, values: dict[fx.Node, Any]) -> Proof | None:
    """x W^T + b, x W or W x with a weight that does not depend on the input."""
    named = {**dict(zip(("input", "weight", "bias"), node.args, strict=False)), **node.kwargs}
    if node.target is F.linear:
        weight, transpose = (named.get("weight"), False) if named.get("input") is source else (None, False)
    elif len(node.args) == 2 and not node.kwargs:
        weight, transpose = (node.args[1], True) if node.args[0] is source else (node.args[0], False)
    else:
        return None
    if any(value is source for name, value in named.items() if node.target is F.linear and name != "input"):
        return None  # x W^T + x
    value = values.get(weight) if isinstance(weight, fx.Node) else None
    if not isinstance(value, Tensor) or value.dim() != 2 or not value.is_floating_point():
        return None
    matrix = value.detach().T if transpose else value.detach()
    if norm == "l2":
        return prove_spectral_norm(matrix)
    return Proof(bound=linf_norm_bound(matrix), method=ROW_SUMS)


def _normalisation(node: fx.Node, source: fx.Node, norm: Norm, values: dict[fx.Node, Any]) -> Proof | None:
    batch = node.target is F.batch_norm
    names = "input running_mean running_var weight bias training" if batch else "input normalized_shape weight bias"
    named = {**dict(zip(names.split(), node.args, strict=False)), **node.kwargs}
    constants = {name: values.get(value) for name, value in named.items() if isinstance(value, fx.Node)}
    weight, variance = constants.get("weight"), constants.get("running_var")
    eps: Any = named.get("eps", 1e-5)
    known = named["input"] is source and isinstance(eps, float)
    if not known or any(value is None for name, value in constants.items() if name != "input"):
        return None
    if not batch:
        return sample_statistics_proof(weight, eps, norm)
    if named.get("training", False) is not False or not isinstance(variance, Tensor):
        raise TypeError("it divides by the statistics of the batch in training mode")
    return stored_statistics_proof(weight, variance, eps)
