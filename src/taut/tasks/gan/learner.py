"""One step of a GAN: several updates of the critic, then one of the generator."""

import copy
from collections.abc import Callable, Mapping
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from taut import losses
from taut import nn as tnn
from taut.data import Dataset, as_inputs, fingerprint
from taut.optim import project_
from taut.tasks.gan.config import Config
from taut.tasks.gan.parts import latents, pictures
from taut.training.ema import averaged_copy, follow
from taut.training.learner import Learner
from taut.training.optimizers import build_optimizer, learning_rate, set_rates
from taut.training.regularisers import penalty
from taut.training.sampling import EpochPlan, epoch_plan, steps_per_epoch
from taut.training.seeding import stream_seed

_HELD_OUT = 2000


class GanLearner(Learner):
    """Critic and generator in turn. All that is drawn follows from seed and step, so that a run resumes as it was."""

    def __init__(
        self,
        config: Config,
        dataset: Dataset,
        networks: nn.ModuleDict,
        *,
        fabric: Fabric,
        show: Callable[[int, nn.Module], None],
    ) -> None:
        """`show(step, generator)` is called after each epoch whose samples are to be kept."""
        self.config, self.fabric, self.model, self.show = config, fabric, networks, show
        generator, critic = networks["generator"], networks["critic"]
        self.optimizers = {
            "generator": build_optimizer(generator, config.optimizer),
            "critic": build_optimizer(critic, config.optimizer),
        }
        self.generator, self.generator_updater = fabric.setup(generator, self.optimizers["generator"])
        self.critic, self.critic_updater = fabric.setup(critic, self.optimizers["critic"])
        self.averages = {"generator": averaged_copy(generator)} if config.optimizer.averages else {}
        self.real = dataset.train.stored.to(fabric.device)
        self.held_out = dataset.test.inputs[:_HELD_OUT].to(fabric.device)
        self.data, self.validate_every = fingerprint(dataset.train), 1
        self.batch_size = config.data.batch_size * config.gan.n_critic
        self.steps_per_epoch = steps_per_epoch(len(self.real), self.batch_size)
        self.steps = self.steps_per_epoch * config.optimizer.epochs
        self._plan: EpochPlan | None = None
        self._planned_epoch = -1

    @property
    def evaluated(self) -> nn.Module:
        """The generator that counts: the average over time where one is kept."""
        return self.averages.get("generator", self.model.get_submodule("generator"))

    def update(self, step: int) -> Mapping[str, Tensor]:
        self._set_rates(step)
        self.generator.train()
        metrics: dict[str, Tensor] = {}
        for turn, real in enumerate(self._batches(step)):
            metrics = self._update_critic(real, step, turn)
        return {**metrics, "generator_loss": self._update_generator(step)}

    def rate(self, step: int) -> float:
        return learning_rate(step, self.steps, self.config.optimizer)

    def validate(self, step: int) -> dict[str, Any]:
        generator = self.evaluated
        z = latents(len(self.held_out), self.config.gan.latent, self.config.seed, "validation")
        fake = pictures(generator, z).to(self.fabric.device)
        critic = self.model.get_submodule("critic")
        plain = tnn.fold(critic) if self.config.gan.gan_type == "lwgan" else copy.deepcopy(critic)
        plain.eval()
        with torch.no_grad():
            loss = sum(
                float(losses.critic_loss(plain(real), plain(made))) * len(real) / len(fake)
                for real, made in zip(self.held_out.split(500), fake.split(500), strict=True)
            )
        epoch = step // self.steps_per_epoch
        if epoch % self.config.evaluation.sample_every == 0 or step == self.steps:
            self.show(step, generator)
        return {"loss": loss, "estimate": -loss}

    # ----------------------------------------------------------------------------------------------------------------

    def _update_critic(self, real: Tensor, step: int, turn: int) -> dict[str, Tensor]:
        gan = self.config.gan
        with torch.no_grad():
            fake = self.generator(self._latents(len(real), step, turn))
        loss = objective = losses.critic_loss(*self._values(real, fake))
        metrics = {"estimate": -loss.detach()}
        if gan.gan_type == "wgan-gp":
            seed = stream_seed(self.config.seed, "penalty", step, turn, self.fabric.global_rank)
            between = torch.Generator(self.fabric.device).manual_seed(seed)
            steepness = losses.gradient_penalty(self.critic, real, fake, generator=between)
            objective = loss + gan.penalty * steepness
            metrics["penalty"] = steepness.detach()
        critic = self.model.get_submodule("critic")
        added = penalty(critic, self.config.optimizer)
        if added is not None:
            objective = objective + added
            metrics["tv2"] = added.detach()
        self.fabric.backward(objective)
        self.critic_updater.step()
        self.critic_updater.zero_grad(set_to_none=True)
        if gan.gan_type == "wgan":
            losses.clip_weights_(critic, gan.clip)
        project_(critic)
        return {"loss": objective.detach(), **metrics}

    def _values(self, real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
        """Of real and generated pictures. A 1-Lipschitz critic sees both at once, so that orthogonal weights are
        computed once; batch normalisation in a discriminator must see them apart."""
        if self.config.gan.gan_type != "lwgan":
            return self.critic(real), self.critic(fake)
        values = self.critic(torch.cat([real, fake]))
        return values[: len(real)], values[len(real) :]

    def _update_generator(self, step: int) -> Tensor:
        count = self.config.data.batch_size // self.fabric.world_size
        critic, generator = self.model.get_submodule("critic"), self.model.get_submodule("generator")
        critic.requires_grad_(False)  # its gradients are not asked for; those to its inputs are
        loss = losses.generator_loss(critic(self.generator(self._latents(count, step, self.config.gan.n_critic))))
        self.fabric.backward(loss)
        critic.requires_grad_(True)
        self.generator_updater.step()
        self.generator_updater.zero_grad(set_to_none=True)
        for average in self.averages.values():
            follow(average, generator, self.config.optimizer, step=step, total=self.steps)
        return loss.detach()

    def _set_rates(self, step: int) -> None:
        rate, peak = self.rate(step), self.config.optimizer.lr
        rates = {"generator": rate, "critic": rate * self.config.gan.critic_rate(peak) / peak}
        for name, optimizer in self.optimizers.items():
            set_rates(optimizer, rates[name])

    def _latents(self, count: int, step: int, turn: int) -> Tensor:
        parts = (self.config.seed, "latents", step, turn, self.fabric.global_rank)
        return latents(count, self.config.gan.latent, *parts).to(self.fabric.device)

    def _batches(self, step: int) -> tuple[Tensor, ...]:
        """The pictures of this step, a batch for each update of the critic."""
        epoch, position = divmod(step, self.steps_per_epoch)
        if self._plan is None or self._planned_epoch != epoch:
            self._planned_epoch = epoch
            self._plan = epoch_plan(
                len(self.real),
                batch_size=self.batch_size,
                seed=self.config.seed,
                epoch=epoch,
                rank=self.fabric.global_rank,
                world_size=self.fabric.world_size,
                device=self.fabric.device,
            )
        return as_inputs(self.real[self._plan.index[position]]).chunk(self.config.gan.n_critic)
