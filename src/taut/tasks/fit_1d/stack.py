"""Many networks of one architecture as one module, whose cost is that of one network with larger tensors."""

import copy
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.func import functional_call

from taut.training.optimizers import OptimizerConfig
from taut.training.regularisers import penalty


class Stack(nn.Module):
    """`networks` side by side: (models, batch, features) -> (models, batch, outputs), each with its own parameters.

    `networks` keeps the tree of modules of one of them, so that an optimizer finds the kinds of its parameters; the
    parameters in it have a first dimension of models.

    Errors: ValueError for networks of different architectures, or with buffers, which nothing here would update.

    >>> layers = [nn.Linear(2, 3) for _ in range(5)]
    >>> Stack(layers)(torch.zeros(5, 7, 2)).shape
    torch.Size([5, 7, 3])
    """

    def __init__(self, networks: Sequence[nn.Module]) -> None:
        super().__init__()
        states = [dict(network.named_parameters()) for network in networks]
        if any(list(state) != list(states[0]) for state in states) or any(list(each.buffers()) for each in networks):
            raise ValueError("a stack needs networks of one architecture, without buffers")
        self.models = len(networks)
        self.networks = copy.deepcopy(networks[0])
        for name in states[0]:
            owner, _, last = name.rpartition(".")
            stacked = torch.stack([state[name].detach() for state in states])
            setattr(self.networks.get_submodule(owner), last, nn.Parameter(stacked))

    def forward(self, x: Tensor) -> Tensor:
        def one(parameters: dict[str, Tensor], points: Tensor) -> Tensor:
            return functional_call(self.networks, parameters, (points,))

        return torch.vmap(one)(dict(self.networks.named_parameters()), x)

    def penalties(self, config: OptimizerConfig) -> Tensor | None:
        """`taut.training.regularisers.penalty` of each network, (models,); None where there is none."""
        if not (config.tv2 and any(hasattr(module, "tv2") for module in self.networks.modules())):
            return None
        parameters = {f"networks.{name}": value for name, value in self.networks.named_parameters()}
        whole = _Penalty(self.networks, config)
        return torch.vmap(lambda each: functional_call(whole, each, ()))(parameters)

    def model(self, index: int, network: nn.Module) -> nn.Module:
        """`network`, of the same architecture, with the parameters of model `index`."""
        network.load_state_dict({name: tensor[index] for name, tensor in self.networks.state_dict().items()})
        return network


class _Penalty(nn.Module):
    """The penalty of a network as what a module returns, so that its parameters can be replaced."""

    def __init__(self, networks: nn.Module, config: OptimizerConfig) -> None:
        super().__init__()
        self.networks, self.config = networks, config

    def forward(self) -> Tensor:
        found = penalty(self.networks, self.config)
        assert found is not None
        return found
