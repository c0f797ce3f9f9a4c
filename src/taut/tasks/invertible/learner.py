"""Training of an invertible network on fresh samples: each step's follow from seed and step alone."""

from collections.abc import Mapping
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor

from taut.models import InvertibleNetwork
from taut.optim import project_
from taut.tasks.invertible.config import Config
from taut.tasks.invertible.objective import MOST_EXACT, Objective
from taut.tasks.invertible.problem import Problem, normal
from taut.training.ema import averaged_copy, follow
from taut.training.learner import Learner
from taut.training.optimizers import build_optimizer, learning_rate, set_rates
from taut.training.regularisers import penalty
from taut.training.seeding import stream

_WATCHED = 1000


class InvertibleLearner(Learner):
    """One network, one loss. Held out, both MMDs are watched whatever the loss is, and the likelihood in low
    dimension."""

    def __init__(self, config: Config, network: InvertibleNetwork, *, problem: Problem, fabric: Fabric) -> None:
        self.config, self.fabric, self.model, self.data = config, fabric, network, problem.fingerprint()
        self.training, self.features = problem.training, problem.features
        optimizer = build_optimizer(network, config.optimizer)
        self.optimizers = {"network": optimizer}
        self.objective, self.updater = fabric.setup(Objective(network, config.loss), optimizer)
        self.averages = {"network": averaged_copy(network)} if config.optimizer.averages else {}
        self.held_out = problem.held_out[:_WATCHED].flatten(1).to(fabric.device)
        self.latents = normal(len(self.held_out), self.features, "held-out", "watched").to(fabric.device)
        self.batch_size, self.validate_every = config.target.batch_size, 1
        self.steps_per_epoch = config.target.steps_per_epoch
        self.steps = self.steps_per_epoch * config.optimizer.epochs

    @property
    def evaluated(self) -> InvertibleNetwork:
        """The network, or the average of its parameters over time where one is kept."""
        chosen = self.averages.get("network", self.model)
        assert isinstance(chosen, InvertibleNetwork)
        return chosen

    def update(self, step: int) -> Mapping[str, Tensor]:
        set_rates(self.optimizers["network"], self.rate(step))
        place = (self.config.seed, "train", step, self.fabric.global_rank)
        count = self.batch_size // self.fabric.world_size
        x = self.training.sample(count, stream(*place)).flatten(1).to(self.fabric.device)
        latents = normal(count, self.features, *place).to(self.fabric.device)
        metrics = self.objective(x, latents, stream(*place, "probes"))
        added = penalty(self.model, self.config.optimizer)
        self.fabric.backward(metrics["loss"] if added is None else metrics["loss"] + added)
        self.updater.step()
        self.updater.zero_grad(set_to_none=True)
        project_(self.model)
        for average in self.averages.values():
            follow(average, self.model, self.config.optimizer, step=step, total=self.steps)
        found = {name: value.detach() for name, value in metrics.items()}
        return found if added is None else found | {"tv2": added.detach()}

    def rate(self, step: int) -> float:
        return learning_rate(step, self.steps, self.config.optimizer)

    @torch.no_grad()
    def validate(self, step: int) -> dict[str, Any]:
        """Both MMDs on held-out samples, and minus the mean log-likelihood where it is exact."""
        network = self.evaluated
        objective = Objective(network, self.config.loss)
        dtype = network.first.scale.dtype
        x, latents = self.held_out.to(dtype), self.latents.to(dtype)
        drawn = network.inverse(latents, block_tolerance=self.config.loss.block_tolerance)
        figures = {
            "forward": float(objective.mmd(network(x), latents)),
            "inverse": float(objective.mmd(network.first(drawn), network.first(x))),
        }
        if self.features <= MOST_EXACT:
            figures["nll"] = -float(network.log_prob(x).mean())
        loss = {
            "likelihood": figures.get("nll", figures["forward"]),
            "mmd-forward": figures["forward"],
            "mmd-inverse": figures["inverse"],
            "mmd-both": figures["forward"] + figures["inverse"],
        }
        return {"loss": loss[self.config.loss.loss], **figures}
