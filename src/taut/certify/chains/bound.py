"""The bound of a dense chain by ECLipsE or LipSDP: multipliers are proposed, and what they give is proven."""

import math
from typing import Literal

import torch
from torch import Tensor

from taut.certify.chains.ellipsoids import Step, gain_bound, scaled_by
from taut.certify.chains.proposals import Proposal, behind, eclipse, weighted
from taut.certify.chains.reading import Chain
from taut.certify.chains.search import lipsdp
from taut.certify.rounding import gradual_underflow, ldexp_up, mul_up, sqrt_up

ChainMethod = Literal["eclipse", "lipsdp"]


@gradual_underflow()
@torch.no_grad()
def chain_bound(chain: Chain, method: ChainMethod) -> float:
    """Upper bound of the Lipschitz constant of a chain in l2, proven; infinity where the proof does not succeed.

    >>> from torch import nn
    >>> from taut.certify.chains.reading import read_chain
    >>> net = nn.Sequential(nn.Linear(2, 1), nn.ReLU(), nn.Linear(1, 1))
    >>> for layer in net[::2]:
    ...     _ = nn.init.constant_(layer.weight, 3.0)
    >>> 9.0 * 2.0**0.5 <= chain_bound(read_chain(net), "lipsdp") <= 9.0 * 2.0**0.5 * (1.0 + 1e-8)
    True
    """
    if chain.factor == 0.0 or any(not bool(layer.weight.any()) for layer in chain.layers):
        return 0.0
    start = eclipse(chain.layers)
    if start is None:
        return math.inf
    best = lipsdp(start) if method == "lipsdp" else start
    bounds = [proven(chain, best)]
    if best is not start and math.isinf(bounds[0]):
        bounds.append(proven(chain, start))
    return min(bounds)


def proven(chain: Chain, proposal: Proposal) -> float:
    """What the multipliers of a proposal give, proven for the stored weights."""
    steps = _steps(chain, proposal)
    gain = None if steps is None else gain_bound(steps)
    if gain is None or math.isnan(gain):
        return math.inf
    return ldexp_up(mul_up(chain.factor, sqrt_up(gain)), sum(proposal.exponents))


def _steps(chain: Chain, proposal: Proposal) -> list[Step] | None:
    """The chain in coordinates in which the ellipsoid behind each activation has a diagonal of about 1."""
    columns = torch.zeros(chain.layers[0].weight.shape[1], dtype=torch.int64)
    after: Tensor | None = None
    steps = []
    last = len(chain.layers) - 1
    for position, layer in enumerate(chain.layers):
        v = proposal.multipliers[position]
        after = weighted(proposal.layers[position].weight, after)
        if layer.sector is not None and v is not None:
            after = behind(layer.sector, v, after)
            if after is None:
                return None
        rows = torch.zeros(len(layer.weight), dtype=torch.int64)
        if layer.sector is not None and position < last:
            sizes = layer.sector.spread(layer.sector.gather(after.diagonal()))
            rows = torch.frexp(sizes.clamp_min(2.0**-200)).exponent.to(torch.int64) // 2
        weight = scaled_by(layer.weight, rows + proposal.exponents[position], columns)
        of_multipliers = None
        if layer.sector is not None and v is not None:
            of_multipliers = v * 4.0 ** -layer.sector.gather(rows.double())
        steps.append(Step(weight=weight, sector=layer.sector, v=of_multipliers))
        columns = rows
    return steps
