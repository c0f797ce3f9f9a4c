"""Training of critics on fresh samples of both distributions: each step's samples follow from seed and step alone."""

from collections.abc import Mapping
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from taut import nn as tnn
from taut.data.distributions import Distribution
from taut.optim import project_
from taut.tasks.wasserstein.config import Config
from taut.training.ema import averaged_copy, follow
from taut.training.learner import Learner
from taut.training.optimizers import build_optimizer, learning_rate, set_rates
from taut.training.regularisers import penalty
from taut.training.seeding import stream
from taut.transport.dual import dual_value
from taut.transport.samples import SampleScale


class CriticLearner(Learner):
    """Every critic climbs mean f(p) - mean f(q) on the same samples, scaled; "critic" is the one that counts.

    Estimates are in the samples' own units, divided by the constant that was asked for.
    """

    def __init__(
        self,
        config: Config,
        critics: nn.ModuleDict,
        *,
        training: tuple[Distribution, Distribution],
        held_out: tuple[Tensor, Tensor],
        scale: SampleScale,
        data: str,
        fabric: Fabric,
    ) -> None:
        self.config, self.fabric, self.model, self.data = config, fabric, critics, data
        self.training, self.scale = training, scale
        self.held_out = tuple(scale.apply(tensor).to(fabric.device) for tensor in held_out)
        self._unit = scale.unit / config.critic.lipschitz
        made = {name: build_optimizer(critic, config.optimizer) for name, critic in critics.items()}
        self.optimizers = made
        self.set_up = {name: fabric.setup(critics[name], optimizer) for name, optimizer in made.items()}
        averaged = config.optimizer.averages
        self.averages = {name: averaged_copy(critic) for name, critic in critics.items()} if averaged else {}
        self.batch_size, self.validate_every = config.distributions.batch_size, 1
        self.steps_per_epoch = config.distributions.steps_per_epoch
        self.steps = self.steps_per_epoch * config.optimizer.epochs

    def evaluated(self, name: str) -> nn.Module:
        """The critic called `name`, or the average of its parameters over time where one is kept."""
        return self.averages[name] if self.averages else self.model.get_submodule(name)

    def update(self, step: int) -> Mapping[str, Tensor]:
        x, y = self._batch(step)
        metrics: dict[str, Tensor] = {}
        for name, optimizer in self.optimizers.items():
            set_rates(optimizer, self.rate(step))
            network, updater = self.set_up[name]
            value = dual_value(network, x, y)
            added = penalty(self.model.get_submodule(name), self.config.optimizer)
            self.fabric.backward(-value if added is None else added - value)
            updater.step()
            updater.zero_grad(set_to_none=True)
            project_(self.model.get_submodule(name))
            if self.averages:
                follow(
                    self.averages[name],
                    self.model.get_submodule(name),
                    self.config.optimizer,
                    step=step,
                    total=self.steps,
                )
            estimate = value.detach() * self._unit
            metrics |= {"loss": -value.detach(), "estimate": estimate} if name == "critic" else {"beside": estimate}
            if added is not None and name == "critic":
                metrics["tv2"] = added.detach()
        return metrics

    def rate(self, step: int) -> float:
        return learning_rate(step, self.steps, self.config.optimizer)

    @torch.no_grad()
    def validate(self, step: int) -> dict[str, Any]:
        """Estimates on the held-out samples, for watching a run."""
        figures: dict[str, Any] = {}
        for name in self.optimizers:
            plain = tnn.fold(self.evaluated(name))
            dtype = next(plain.parameters()).dtype
            p, q = (torch.cat([plain(part.to(dtype)) for part in side.split(2000)]) for side in self.held_out)
            value = float(p.mean() - q.mean())
            estimate = value * self._unit
            figures |= {"loss": -value, "estimate": estimate} if name == "critic" else {"beside": estimate}
        return figures

    def _batch(self, step: int) -> tuple[Tensor, Tensor]:
        world = self.fabric.world_size
        count = self.batch_size // world
        drawn = []
        for side, distribution in zip("pq", self.training, strict=True):
            generator = stream(self.config.seed, side, step, self.fabric.global_rank)
            drawn.append(self.scale.apply(distribution.sample(count, generator)).to(self.fabric.device))
        return drawn[0], drawn[1]
