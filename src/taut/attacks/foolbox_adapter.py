"""Attacks of foolbox, as searches: their points are used, their judgement and their distances are not."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from taut.attacks.methods import METHODS

_NEEDS_START = ("boundary", "hopskipjump")


def foolbox_search(
    name: str,
    model: nn.Module,
    inputs: Float[Tensor, "batch *shape"],
    labels: Int64[Tensor, " batch"],
    *,
    norm: str,
    steps: int,
    seed: int,
    pool: Float[Tensor, "pool *shape"],
    bounds: tuple[float, float] = (0.0, 1.0),
) -> Float[Tensor, "batch *shape"]:
    """The points that foolbox's attack returns, in the box; the sample itself where an attack cannot start.

    The decision-based attacks start from the nearest point of `pool` that has another class. The random numbers are
    those of `seed`, and the global generators are as they were afterwards.

    Args:
        name: deepfool, cw, boundary, hopskipjump, ddn or fmn.
        model: Maps inputs to logits.
        inputs: In `bounds`, correctly classified.
        labels: True classes.
        norm: Of the distance that is made small.
        steps: Of the attack, by its own count.
        seed: Of foolbox's random numbers.
        pool: Points from which an attack may start.
        bounds: Smallest and largest value of an input.

    Raises:
        ValueError: foolbox is not installed; the sentence has the command that installs it.
    """
    foolbox = _foolbox(name)
    attack = _attack(foolbox, name, norm, steps)
    started = torch.arange(len(inputs), device=inputs.device)
    options: dict[str, Any] = {}
    if name in _NEEDS_START:
        start, has = starting_points(model, inputs, labels, pool)
        started = started[has]
        options["starting_points"] = start[has]
    points = inputs.clone()
    if len(started):
        wrapped = foolbox.PyTorchModel(model, bounds=bounds, device=inputs.device)
        with _seeded(seed), _quiet():
            found = attack.run(wrapped, inputs[started], labels[started], **options)
        points[started] = found.detach().clamp(*bounds)
    return points


@torch.no_grad()
def starting_points(
    model: nn.Module,
    inputs: Float[Tensor, "batch *shape"],
    labels: Int64[Tensor, " batch"],
    pool: Float[Tensor, "pool *shape"],
) -> tuple[Float[Tensor, "batch *shape"], Tensor]:
    """For each input the nearest point (l2) of `pool` that the model gives another class, and whether there is one."""
    classes = model(pool).argmax(dim=1)
    gaps = torch.cdist(inputs.flatten(1), pool.flatten(1))
    gaps = gaps.masked_fill(classes[None, :] == labels[:, None], torch.inf)
    nearest = gaps.min(dim=1)
    return pool[nearest.indices], torch.isfinite(nearest.values)


def check_foolbox(name: str) -> None:
    """Raise ValueError, with the command that installs it, if the attack needs foolbox and it is not there."""
    if METHODS[name].foolbox:
        _foolbox(name)


def _foolbox(name: str) -> Any:
    try:
        import foolbox
        import foolbox.attacks
    except ModuleNotFoundError as error:
        raise ValueError(
            f'the attack {name} needs the package {error.name}: pip install "taut[attacks]"; '
            "fgsm, pgd, apgd, apgd-dlr, fab, square and auto need none"
        ) from error
    return foolbox


def _attack(foolbox: Any, name: str, norm: str, steps: int) -> Any:
    attacks = foolbox.attacks
    if name == "deepfool":
        return (attacks.L2DeepFoolAttack if norm == "l2" else attacks.LinfDeepFoolAttack)(steps=steps)
    if name == "fmn":
        return (attacks.L2FMNAttack if norm == "l2" else attacks.LInfFMNAttack)(steps=steps)
    if name == "cw":
        return attacks.L2CarliniWagnerAttack(steps=steps)
    if name == "ddn":
        return attacks.DDNAttack(steps=steps)
    if name == "boundary":
        return attacks.BoundaryAttack(steps=steps)
    return attacks.HopSkipJumpAttack(steps=steps, max_gradient_eval_steps=1000, constraint=norm)


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """foolbox draws from the global generators of torch and numpy."""
    before = np.random.get_state()  # noqa: NPY002
    devices = list(range(torch.cuda.device_count())) if torch.cuda.is_available() else []
    with torch.random.fork_rng(devices):
        torch.manual_seed(seed)
        np.random.seed(seed % 2**32)  # noqa: NPY002
        try:
            yield
        finally:
            np.random.set_state(before)  # noqa: NPY002


@contextmanager
def _quiet() -> Iterator[None]:
    """What foolbox logs of single samples is not for a person who attacks many."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)
