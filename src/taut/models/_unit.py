"""The record of what the units of one layer do on data."""

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True, kw_only=True, eq=False)
class UnitActivity:
    """The inputs of one activation layer, one by one: a unit is a feature, or a channel at any of its positions."""

    name: str
    """Path of the activation in the network."""
    kind: str
    """Class of the activation."""
    active: Float[Tensor, " units"]
    """Share of the data on which the layer's output depends on the unit, to first order; 0 is a dead unit."""
    switching: Float[Tensor, " units"]
    """Share of the data on which the layer does something else with the unit than it mostly does: another slot of a
    sort, another slope. 0 is a unit that is linear on all the data."""
