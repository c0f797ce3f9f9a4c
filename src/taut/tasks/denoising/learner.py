"""Training of denoisers on patches with fresh noise: each step's patches and noise follow from seed and step alone."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from taut.optim import project_
from taut.tasks.denoising.config import Config
from taut.tasks.denoising.patches import Patches
from taut.training.ema import averaged_copy, follow
from taut.training.learner import Learner
from taut.training.optimizers import build_optimizer, learning_rate, set_rates
from taut.training.regularisers import penalty
from taut.training.seeding import stream


class DenoiserLearner(Learner):
    """Every network N makes the mean squared error of (1 - a) y + a N(y) small, on the same noisy patches y."""

    def __init__(
        self,
        config: Config,
        networks: nn.ModuleDict,
        *,
        patches: Patches,
        data: str,
        look: Callable[[Mapping[str, nn.Module]], dict[str, Any]],
        fabric: Fabric,
    ) -> None:
        """`networks` has "denoiser", and "unconstrained" where one is trained beside; `look` measures them as they are
        on held-out pictures."""
        self.config, self.fabric, self.model, self.data, self.look = config, fabric, networks, data, look
        self.patches = patches
        self.optimizers = {name: build_optimizer(network, config.optimizer) for name, network in networks.items()}
        self.set_up = {name: fabric.setup(networks[name], optimizer) for name, optimizer in self.optimizers.items()}
        averaged = config.optimizer.averages
        self.averages = {name: averaged_copy(network) for name, network in networks.items()} if averaged else {}
        self.batch_size, self.validate_every = config.data.batch_size, config.evaluation.validate_every
        self.steps_per_epoch = config.data.steps_per_epoch
        self.steps = self.steps_per_epoch * config.optimizer.epochs

    def evaluated(self, name: str) -> nn.Module:
        """The network called `name`, or the average of its parameters over time where one is kept."""
        return self.averages[name] if self.averages else self.model.get_submodule(name)

    def update(self, step: int) -> Mapping[str, Tensor]:
        clean, noisy = self._batch(step)
        metrics: dict[str, Tensor] = {}
        for name in self.optimizers:
            error = self._update(name, step, clean, noisy)
            metrics |= {"loss": error} if name == "denoiser" else {f"{name}_loss": error}
        return metrics

    def rate(self, step: int) -> float:
        return learning_rate(step, self.steps, self.config.optimizer)

    def validate(self, step: int) -> dict[str, Any]:
        return self.look({name: self.evaluated(name) for name in self.optimizers})

    def _update(self, name: str, step: int, clean: Tensor, noisy: Tensor) -> Tensor:
        share = self.rate(step) / self.config.optimizer.lr
        peak = self.config.optimizer.lr if name == "denoiser" else self.config.evaluation.unconstrained_lr
        set_rates(self.optimizers[name], share * peak)
        (network, updater), raw = self.set_up[name], self.model.get_submodule(name)
        error = (torch.lerp(noisy, network(noisy), self.config.model.averaging) - clean).square().mean()
        added = penalty(raw, self.config.optimizer)
        self.fabric.backward(error if added is None else error + added)
        updater.step()
        updater.zero_grad(set_to_none=True)
        project_(raw)
        if self.averages:
            follow(self.averages[name], raw, self.config.optimizer, step=step, total=self.steps)
        return error.detach()

    def _batch(self, step: int) -> tuple[Tensor, Tensor]:
        """This process's share of the patches of one step, clean and noisy: the same patches for every number of
        processes."""
        data, seed = self.config.data, self.config.seed
        local = data.batch_size // self.fabric.world_size
        mine = slice(self.fabric.global_rank * local, (self.fabric.global_rank + 1) * local)
        clean = self.patches.draw(data.batch_size, stream(seed, "patches", step), kept=mine)
        drawn = torch.randn(data.batch_size, *clean.shape[1:], generator=stream(seed, "noise", step))
        noisy = clean + data.sigma / 255 * drawn[mine]
        return clean.to(self.fabric.device), noisy.to(self.fabric.device)
