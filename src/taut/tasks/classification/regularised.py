"""The objective of a classifier that is trained with penalties or adversaries, for one process and for several."""

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from taut import certify, losses
from taut import nn as tnn
from taut.data import Problem
from taut.errors import UsageError
from taut.functional.batch_statistics import keeps_statistics
from taut.tasks.classification.config import Config
from taut.tasks.classification.parts import (
    build_loss,
    head_constants,
    head_of,
    is_constrained,
    objective,
    steepness,
)
from taut.tasks.classification.regularisation import RegularisationConfig
from taut.training.ascent import ascend
from taut.training.seeding import stream

_LINF = {"linf", "linf-projected", "linf-dist", "sort"}
"""Layers that keep to 1 in linf, and not in l2."""
_J = {"j1": "l1", "j2": "l2", "jinf": "linf"}
"""From the name of a step to the norm of the gradient that it penalises."""

Objective = Callable[[Tensor], Tensor]


def build_objective(
    config: Config, model: nn.Module
) -> tuple[Callable[[nn.Module, tuple[Tensor, ...]], dict[str, Tensor]], Callable[[int, int], None]]:
    """Metrics of a batch, and what is called with step and process before."""
    constants = head_constants(model, config.model, norm=config.evaluation.norm)
    if not config.regularisation.active:
        return objective(build_loss(config.loss, constants=constants)), lambda step, rank: None
    made = RegularisedObjective(
        config.regularisation,
        model,
        build_loss(config.loss, reduction="none", constants=constants),
        seed=config.seed,
        norm=config.evaluation.norm,
        lipschitz=steepness(model, config.model),
    )
    return made, made.reseed


def check_regularisation(config: Config, model: nn.Module, problem: Problem) -> None:
    """Raise UsageError where a term has no meaning or no derivative for this network: two samples are tried on a
    copy."""
    asked = {"worst-case": config.loss.worst_case != "none", "certificate": config.regularisation.certificate > 0}
    for option in (name for name, wanted in asked.items() if wanted):
        if not is_constrained(model):
            raise UsageError(f"{option} is for networks whose layers are all constrained, and this one has torch's own")
        _check_norm(option, config, model, problem)
    if not config.regularisation.active:
        return
    tried = copy.deepcopy(model)
    metrics, _ = build_objective(config, tried)
    inputs = torch.rand(2, *problem.shape, generator=torch.Generator().manual_seed(0))
    try:
        with torch.random.fork_rng():
            metrics(tried, (inputs, torch.tensor([0, 1])))["loss"].backward()
    except RuntimeError as error:
        raise UsageError(
            "this network cannot be differentiated twice, or not at all, which this regularisation needs "
            f"(finite-difference, j1, j2, jinf, pgd and trades need one derivative): {' '.join(str(error).split())}"
        ) from error
    except ValueError as error:
        raise UsageError(f"this regularisation is not for this network: {' '.join(str(error).split())}") from error


def _check_norm(option: str, config: Config, model: nn.Module, problem: Problem) -> None:
    """Raise UsageError where the layers before the last do not have the constant 1 in the norm of the radii."""
    norm, options = config.evaluation.norm, config.model
    if norm == "l2":
        kept = not {options.linear, options.convolution} & _LINF
    else:
        plain = tnn.fold(model).eval()
        head, _ = head_of(plain)
        of_rows = 1.0 if head is None else float(head.weight.detach().abs().sum(1).amax())
        promised = of_rows * steepness(plain, options, folded=True)()
        try:
            kept = certify.lipschitz_bound(plain, norm=norm, input_shape=problem.shape) <= 1.01 * promised
        except TypeError:  # a layer has no rule in this norm, as those that are orthogonal frequency by frequency
            kept = False
    if not kept:
        other = "linf" if norm == "l2" else "l2"
        raise UsageError(
            f"{option} counts on layers that keep to 1 in the norm of the radii, {norm}, and these do so in {other}: "
            f"give --norm {other}, or other layers"
        )


class RegularisedObjective:
    """Loss, accuracy and every term of a batch, for the training loop.

    The network that is called has a part in one pass forwards alone, that of the loss: its gradients are then right
    under DistributedDataParallel too. Points are searched, and penalties computed, on the module inside it, which has
    the same parameters, in full precision: differences and second derivatives lose digits under autocast. Running
    statistics follow the one pass.
    """

    def __init__(
        self,
        config: RegularisationConfig,
        model: nn.Module,
        each: Callable[[Tensor, Tensor], Tensor],
        *,
        seed: int,
        norm: str = "l2",
        lipschitz: Callable[[], float] = lambda: 1.0,
    ) -> None:
        """`model` is the module inside the network, `each` the loss of each sample from logits and labels; `norm` and
        `lipschitz`, the steepness of the network, are of the certificate."""
        self.config, self.model, self.each = config, model, each
        self.seed, self.norm, self.lipschitz = seed, norm, lipschitz
        self.reseed(0, 0)

    def reseed(self, step: int, rank: int) -> None:
        """Draw what follows from the seed, the step and the process."""
        self.generator = stream(self.seed, "regularisation", step, rank)

    def __call__(self, network: Callable[[Tensor], Tensor], batch: tuple[Tensor, ...]) -> dict[str, Tensor]:
        inputs, labels = batch
        inputs = inputs.to(next(self.model.parameters()).dtype)
        # Constrained weights are computed once for all passes. No pass before the network's own may be under no_grad:
        # the weights would be kept without their derivative.
        with parametrize.cached():
            with _statistics_kept(self.model):
                moved = self._moved(inputs, labels)
                terms = self._penalties(inputs, labels)
            figures, clean = self._loss(network, inputs, moved, labels)
            with torch.no_grad(), _statistics_kept(self.model):
                clean = self.model(inputs) if clean is None else clean
            figures["accuracy"] = _share_right(clean, labels)
        weighted = [getattr(self.config, name) * term for name, term in terms.items()]
        figures["loss"] = torch.stack([figures["loss"], *weighted]).sum()
        if "certificate" in terms:
            terms["certified_radius_estimate"] = -terms.pop("certificate")
        return figures | {name: term.detach() for name, term in terms.items()}

    def _loss(
        self, network: Callable[[Tensor], Tensor], inputs: Tensor, moved: Tensor | None, labels: Tensor
    ) -> tuple[dict[str, Tensor], Tensor | None]:
        """The loss and its parts, and the logits of the samples themselves where they were computed."""
        config = self.config
        if moved is None:
            logits = network(inputs)
            return {"loss": self.each(logits, labels).mean()}, logits
        if not (config.trades or config.clean_share):
            logits = network(moved)
            loss = self.each(logits, labels).mean()
            return {"loss": loss, "adversarial_accuracy": _share_right(logits, labels)}, None
        clean, adversarial = network(torch.cat((inputs, moved))).chunk(2)
        own = self.each(clean, labels).mean()
        if config.trades:
            divergence = losses.prediction_divergence(clean, adversarial).mean()
            parts = {"loss": own + config.trades * divergence, "divergence": divergence.detach()}
        else:
            other = self.each(adversarial, labels).mean()
            loss = config.clean_share * own + (1 - config.clean_share) * other
            parts = {"loss": loss, "adversarial_loss": other.detach()}
        right = {"clean_loss": own.detach(), "adversarial_accuracy": _share_right(adversarial, labels)}
        return parts | right, clean

    def _moved(self, inputs: Tensor, labels: Tensor) -> Tensor | None:
        name, config = self.config.adversary, self.config
        if name is None:
            return None
        if name in _J:
            return losses.single_step(inputs, self._of_labels(labels), eps=getattr(config, name), norm=_J[name])
        objective = self._of_labels(labels)
        if config.trades:
            reference = self.model(inputs).detach()
            objective = lambda points: losses.prediction_divergence(reference, self.model(points))  # noqa: E731
        return ascend(
            inputs,
            objective,
            eps=config.pgd,
            norm=config.pgd_norm,
            steps=config.pgd_steps,
            generator=self.generator,
        )

    def _penalties(self, inputs: Tensor, labels: Tensor) -> dict[str, Tensor]:
        """Every term that has a weight, without it."""
        config, objective = self.config, self._of_labels(labels)
        known: dict[str, Callable[[], Tensor]] = {
            "lip": lambda: losses.lipschitz_penalty(objective, inputs),
            "finite_difference": lambda: losses.finite_difference_penalty(
                objective,
                inputs,
                norm=config.finite_difference_norm,
                h=config.finite_difference_step,
                difference=config.finite_difference_kind,
            ),
            "jacobian": lambda: losses.jacobian_penalty(self.model, inputs, steps=config.jacobian_steps),
            "wgan_gp": lambda: self._own_logit_penalty(inputs, labels),
            "orthogonality": lambda: losses.orthogonality_penalty(self.model),
            "certificate": lambda: losses.certificate_regularisation(
                self.model(inputs), labels, last_linear(self.model).weight, lipschitz=self.lipschitz(), norm=self.norm
            ),
        }
        return {name: term() for name, term in known.items() if getattr(config, name)}

    def _own_logit_penalty(self, inputs: Tensor, labels: Tensor) -> Tensor:
        """Between each sample and the next of the batch, on the logit of the sample's label."""
        seed = int(torch.randint(2**62, (), generator=self.generator))
        generator = torch.Generator(inputs.device).manual_seed(seed)
        critic = _OwnLogit(self.model, labels)
        return losses.gradient_penalty(
            critic, inputs, inputs.roll(1, 0), generator=generator, target=self.config.wgan_gp_target
        )

    def _of_labels(self, labels: Tensor) -> Objective:
        return partial(_composed, self.model, self.each, labels)


class _OwnLogit(nn.Module):
    """The logit of each sample's label."""

    def __init__(self, model: nn.Module, labels: Tensor) -> None:
        super().__init__()
        self.model, self.labels = model, labels

    def forward(self, x: Tensor) -> Tensor:
        return self.model(x).gather(1, self.labels[:, None])


def last_linear(model: nn.Module) -> nn.Linear:
    """The head: the linear layer that the network ends in. ValueError where it ends in another."""
    head, squashed = head_of(model)
    if head is None or squashed:
        raise ValueError("certificate is for networks that end in a linear layer, and this one ends in another")
    return head


def _composed(model: nn.Module, each: Callable[[Tensor, Tensor], Tensor], labels: Tensor, points: Tensor) -> Tensor:
    return each(model(points), labels)


def _share_right(logits: Tensor, labels: Tensor) -> Tensor:
    return (logits.detach().argmax(dim=1) == labels).float().mean()


@contextmanager
def _statistics_kept(model: nn.Module) -> Iterator[None]:
    """Running statistics of batch norms and centrings go back to what they were: passes inside follow copies."""
    kept = [(module, dict(module._buffers)) for module in filter(keeps_statistics, model.modules())]
    try:
        for module, buffers in kept:
            for name, value in buffers.items():
                module._buffers[name] = None if value is None else value.clone()
        yield
    finally:
        for module, buffers in kept:
            module._buffers.update(buffers)
