r"""Lipschitz bound of any module that torch.fx can trace: the product rule on its graph."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

from torch import fx, nn

from taut.certify.breakdown import Breakdown, Norm, chain, checked_norm, least
from taut.certify.chains.bound import chain_bound
from taut.certify.chains.reading import read_chain
from taut.certify.network.graph_walk import Walk
from taut.certify.network.tracing import nothing_random, operand_shapes, refuse_meta, trace
from taut.certify.rounding import gradual_underflow
from taut.certify.rules.module_rules import Leaf, refuse_training_mode
from taut.certify.rules.shape_rules import Shapes

Method = Literal["product", "eclipse", "lipsdp"]
"""How the constants of layers are put together."""


def lipschitz_bound(
    model: nn.Module, *, norm: str = "l2", input_shape: Sequence[int] | None = None, method: str = "product"
) -> float:
    r"""Upper bound of the Lipschitz constant of a network in `norm` ("l2" or "linf"): never too small.

    The network is the map from one sample (a batch of one) to the output, in real arithmetic, with the weights as they
    are stored (also in half precision) and, where parametrized, as they are now. Constants multiply along a chain,
    add at additions, and join at concatenations by the root of the sum of squares (l2) or the maximum (linf); a module
    that is used twice counts twice. Every multiplication is rounded up.

    `input_shape`, without the batch, is needed only where tensors are added of which the graph does not show that they
    have one shape whatever the input's is: broadcasting would multiply the norm. Without it a convolution is bounded
    for images of any size, which costs tightness only where it is padded by something else than zeros.

    `method` is "product" for any network. For dense chains and the norm l2 there are tighter ones: "eclipse", in closed
    form, at a few times the cost, and "lipsdp", the smallest bound of its kind up to a per cent or so, in seconds (a
    minute and more above some thousand neurons a layer). They take what `certify.chains` reads: (nested) Sequential of
    Linear layers, activations with known slopes, MaxMin, GroupSort, FullSort, Flatten, Identity and factors, and a
    sample is one vector. The result is the least of their bound, proven in floating point as well, and the product.

    Raises TypeError that names the module or function without a rule; give a module of yours one by a method
    `lipschitz_constant(self, norm: str) -> float`. Raises ValueError for another norm or method, for "eclipse" and
    "lipsdp" in linf, NaN or infinite weights, broadcasting additions; TypeError that names the first module that is no
    part of a dense chain where the method needs one.

    Sources: Xu and Sivaranjani (2024) for ECLipsE; Fazlyab, Robey, Hassani, Morari and Pappas (2019) for LipSDP; Pauli,
    Havens, Araujo, Garg, Khorrami, Allgöwer and Hu (2024) for sorting activations.

    >>> import torch
    >>> net = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.ReLU())
    >>> with torch.no_grad():
    ...     _ = net[0].weight.copy_(torch.diag(torch.tensor([2.0, 3.0])))
    >>> 3.0 <= lipschitz_bound(net) < 3.00001
    True
    """
    return breakdown(model, norm=norm, input_shape=input_shape, method=method).bound


def breakdown(
    model: nn.Module, *, norm: str = "l2", input_shape: Sequence[int] | None = None, method: str = "product"
) -> Breakdown:
    """`lipschitz_bound` with its proof: a tree of products, sums and joins that `print` shows."""
    return analyse(model, norm=checked_norm(norm), input_shape=input_shape, method=method).tree


@dataclass(frozen=True, kw_only=True)
class Analysis:
    """The proof tree and, once for each use, the leaves of the graph in the order of their execution."""

    tree: Breakdown
    leaves: tuple[Leaf, ...]


def analyse(
    model: nn.Module, *, norm: Norm, input_shape: Sequence[int] | None = None, method: str = "product"
) -> Analysis:
    """The product rule, node by node, and beside it the method of dense chains that is asked for."""
    if method not in get_args(Method):
        raise ValueError(f"method must be 'product', 'eclipse' or 'lipsdp', got {method!r}")
    if method == "product":
        return _product(model, norm, input_shape)
    if norm != "l2":
        raise ValueError(f"method {method!r} bounds the norm 'l2' alone, got {norm!r}: use method='product'")
    refuse_meta(model)
    with nothing_random():
        chained = read_chain(model)
    product = _product(model, norm, input_shape)
    bound = chain_bound(chained, "eclipse" if method == "eclipse" else "lipsdp")
    whole = Breakdown(name="(model)", kind="layer", rule=f"{method}, ellipsoids proven layer by layer", bound=bound)
    return replace(product, tree=least("smallest of two proofs", (product.tree, whole)))


@gradual_underflow()
def _product(model: nn.Module, norm: Norm, input_shape: Sequence[int] | None) -> Analysis:
    refuse_training_mode(model, norm)
    traced = trace(model, norm)
    shapes = None if input_shape is None else operand_shapes(traced, tuple(input_shape))
    walk = Walk(traced, norm, shapes)
    with nothing_random():
        walk.run()
    if walk.same_shape:
        _refuse_broadcasting(walk, shapes)
    return Analysis(tree=chain(tuple(part for _, part in walk.result)), leaves=tuple(walk.leaves))


def _refuse_broadcasting(walk: Walk, shapes: dict[fx.Node, tuple[int, ...]] | None) -> None:
    """An operand that is smaller than the result is repeated, which multiplies its norm. Without a given shape, all
    must hold for inputs of any shape: what a guess shows can be refused, but not accepted."""
    equal = Shapes(walk.traced, walk.values).equal if shapes is None else set()
    unsure = [(node, operands) for node, operands in walk.same_shape if node not in equal]
    if not unsure:
        return
    known = operand_shapes(walk.traced, None) if shapes is None else shapes
    for node, operands in unsure:
        for operand in operands:
            if known[operand] != known[node]:
                raise ValueError(
                    f"{walk.where(node)} broadcasts {known[operand]} to {known[node]}, which has no Lipschitz rule"
                )
    if shapes is None:
        where = walk.where(unsure[0][0])
        raise ValueError(f"{where}: give input_shape=(...), of one sample, so that broadcasting can be ruled out")
