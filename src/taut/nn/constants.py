"""Lipschitz constants of modules without weights, in l2 and linf."""

from collections.abc import Iterator
from functools import lru_cache
from typing import Any, get_args

from torch import fx, nn

from taut.nn._map_candidates import map_candidates
from taut.nn._window_constants import window_constant
from taut.nn.activation import smooth, sorts
from taut.nn.composition.scale import Scale
from taut.nn.conversion._plain import numbers_in, same_graph
from taut.nn.dense.linf_dist import plain_linf_distance
from taut.nn.dense.sort_neuron import plain_sort_neuron

NORMS = ("l2", "linf")


def checked_norm(norm: str) -> str:
    """Refuse anything but "l2" and "linf"."""
    if norm not in NORMS:
        raise ValueError(f"norm must be 'l2' or 'linf', got {norm!r}")
    return norm


def constant(module: nn.Module, norm: str) -> float | None:
    r"""Lipschitz constant of a module without weights, in `norm` ("l2" or "linf"); None when there is no rule for it.

    Modules of one's own take part by a method `lipschitz_constant(norm) -> float | None`. Folded activations are
    recognised by their graph. Torch's own modules are matched by exact type: a subclass may compute something else.

    >>> constant(nn.ReLU(), "l2"), constant(nn.Sigmoid(), "linf"), constant(nn.Linear(2, 2), "l2")
    (1.0, 0.25, None)
    """
    checked_norm(norm)
    own = getattr(module, "lipschitz_constant", None)
    if callable(own):
        return None if _computes_something_else(module) else own(norm)  # type: ignore[no-any-return]
    if isinstance(module, fx.GraphModule):
        activation = recognise(module)
        return None if activation is None else constant(activation, norm)
    if type(module) is Scale:
        return abs(module.factor)
    return _elementwise(module) or _by_slope(module) or window_constant(module, norm)


def _computes_something_else(module: nn.Module) -> bool:
    """A forward pass of its own below one of taut's classes, whose constant is inherited; or one put on the object."""
    defines = {
        name: next((k for k, cls in enumerate(type(module).__mro__) if name in vars(cls)), 0)
        for name in ("forward", "lipschitz_constant")
    }
    inherited = type(module).__mro__[defines["lipschitz_constant"]]
    below = defines["forward"] < defines["lipschitz_constant"] and inherited.__module__.startswith("taut.nn.")
    return below or "forward" in vars(module)


def recognise(module: nn.Module) -> nn.Module | None:
    """The activation or layer of distances that a folded graph computes, or None.

    The graph itself decides, not a name that it carries.

    >>> recognise(sorts.MaxMin().fold())
    MaxMin(dim=1)
    """
    if not isinstance(module, fx.GraphModule):
        return None
    distance = plain_linf_distance(module) or plain_sort_neuron(module)
    if distance is not None:
        return distance
    if any(True for _ in module.parameters()):
        return None
    for candidate in map_candidates(module):
        if same_graph(module, candidate.fold()):  # type: ignore[operator, arg-type]
            return candidate
    for cls, options in _candidates(module):
        if same_graph(module, _folded(cls, tuple(options), *options.values())):
            return cls(**options)
    return None


@lru_cache(maxsize=1024, typed=True)  # 2 and 2.0 are different options
def _folded(cls: type[nn.Module], names: tuple[str, ...], *values: Any) -> fx.GraphModule:
    """The graph of an activation with these options, which is only compared with."""
    return cls(**dict(zip(names, values, strict=True))).fold()  # type: ignore[operator, no-any-return]


def _candidates(module: fx.GraphModule) -> Iterator[tuple[type[nn.Module], dict[str, Any]]]:
    """Every activation whose options are among the numbers of the graph."""
    yield sorts.Abs, {}
    yield from ((smooth.Smooth, {"kind": kind}) for kind in get_args(smooth.Kind))
    for number in sorted(numbers_in(module)):
        yield Scale, {"factor": float(number)}
        if isinstance(number, int):
            yield smooth.ConcatReLU, {"dim": number}
            widths = (n for n in numbers_in(module) if isinstance(n, float) and n > 0)
            yield from ((smooth.SmoothMaxMin, {"width": width, "dim": number}) for width in widths)
            yield sorts.MaxMin, {"dim": number}
            yield sorts.FullSort, {"dim": number}
            for size in (n for n in numbers_in(module) if isinstance(n, int) and n >= 2):
                yield sorts.GroupSort, {"group_size": size, "dim": number}
                yield sorts.MaxOut, {"group_size": size, "dim": number}


def _elementwise(module: nn.Module) -> float | None:
    """Entry-by-entry functions and rearrangements: the largest slope, the same in l2 and linf.

    Softplus is not among them: torch switches to the identity above a threshold, which is a jump.
    """
    slopes: dict[type[nn.Module], float] = {
        nn.Identity: 1.0,
        nn.Flatten: 1.0,
        nn.Unflatten: 1.0,
        nn.PixelShuffle: 1.0,
        nn.PixelUnshuffle: 1.0,
        nn.ChannelShuffle: 1.0,
        nn.ReLU: 1.0,
        nn.ReLU6: 1.0,
        nn.Hardtanh: 1.0,
        nn.Softshrink: 1.0,
        nn.Softsign: 1.0,
        nn.LogSigmoid: 1.0,
        nn.Tanh: 1.0,
        nn.Sigmoid: 0.25,
        nn.GELU: 1.13,  # true maximum 1.1289...
        nn.SiLU: 1.1,  # 1.0998...
        nn.Mish: 1.09,  # 1.0884...
    }
    if type(module) is nn.GELU and module.approximate != "none":
        return None
    return slopes.get(type(module))


def _by_slope(module: nn.Module) -> float | None:
    """Modules whose constant depends on their settings."""
    if type(module) is nn.LeakyReLU:
        return max(1.0, abs(module.negative_slope))
    if type(module) is nn.ELU:
        return max(1.0, abs(module.alpha))  # type: ignore[union-attr, arg-type]
    if type(module) is nn.CELU and module.alpha > 0:
        return 1.0
    if type(module) in (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d) and not module.training:
        return 1.0
    return None
