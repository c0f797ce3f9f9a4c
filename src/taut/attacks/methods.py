"""The attacks by name: what each can be asked, and what it does when it is not asked."""

from dataclasses import dataclass
from typing import Literal, get_args

AttackName = Literal[
    "fgsm",
    "pgd",
    "apgd",
    "apgd-dlr",
    "deepfool",
    "cw",
    "boundary",
    "hopskipjump",
    "ddn",
    "fmn",
    "fab",
    "square",
    "auto",
]
ATTACKS: tuple[str, ...] = get_args(AttackName)


@dataclass(frozen=True, kw_only=True)
class Method:
    """What is known of an attack before it runs."""

    steps: int | None = None
    """Steps when none are asked for; None where there is nothing to choose."""
    restarts: int | None = None
    """Restarts when none are asked for; None where there are none."""
    losses: tuple[str, ...] = ()
    """What it can climb, its own choice first; empty where there is nothing to choose."""
    norms: tuple[str, ...] = ("l2", "linf")
    minimal: bool = False
    """Whether it looks for the nearest misclassified point, rather than for one within a radius."""
    foolbox: bool = False
    """Whether it is foolbox's."""


METHODS: dict[str, Method] = {
    "fgsm": Method(losses=("cross-entropy", "margin")),
    "pgd": Method(steps=100, restarts=4, losses=("both", "margin", "cross-entropy")),
    "apgd": Method(steps=100, restarts=1),
    "apgd-dlr": Method(steps=100, restarts=1),
    "deepfool": Method(steps=50, minimal=True, foolbox=True),
    "cw": Method(steps=200, norms=("l2",), minimal=True, foolbox=True),
    "boundary": Method(steps=5000, norms=("l2",), minimal=True, foolbox=True),
    "hopskipjump": Method(steps=32, minimal=True, foolbox=True),
    "ddn": Method(steps=100, norms=("l2",), minimal=True, foolbox=True),
    "fmn": Method(steps=100, minimal=True, foolbox=True),
    "fab": Method(steps=100, restarts=1, minimal=True),
    "square": Method(steps=5000),
    "auto": Method(steps=100, restarts=1),
}
ENSEMBLE = ("apgd", "apgd-dlr", "fab", "square")
"""The parts of "auto", in their order; each meets what the ones before it have left."""
QUERIES_PER_STEP = 50
"""Queries of Square in the ensemble for each step of the others."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What an attack does in the end: what was asked for, and its own choice of the rest."""

    name: str
    norm: str
    steps: int | None
    restarts: int | None
    loss: str | None


def settings(
    name: str, *, norm: str = "l2", steps: int | None = None, restarts: int | None = None, loss: str | None = None
) -> Settings:
    """Fill in what was not asked for.

    Raises ValueError for an unknown attack or norm, a norm that the attack does not have, and options that it lacks.

    Example:
        >>> settings("deepfool", norm="linf").steps
        50
    """
    if name not in METHODS:
        raise ValueError(f"attack must be one of {', '.join(METHODS)}, got {name!r}")
    method = METHODS[name]
    if norm not in ("l2", "linf"):
        raise ValueError(f"norm must be 'l2' or 'linf', got {norm!r}")
    if norm not in method.norms:
        others = [other for other, its in METHODS.items() if norm in its.norms and its.minimal]
        raise ValueError(f"{name} exists for {method.norms[0]} alone; for {norm} there are {', '.join(others)}")
    for option, value, own in (
        ("steps", steps, method.steps),
        ("restarts", restarts, method.restarts),
        ("loss", loss, method.losses or None),
    ):
        if value is not None and own is None:
            raise ValueError(f"{name} has no {option} to choose, got {value}")
    if loss is not None and loss not in method.losses:
        raise ValueError(f"the loss of {name} must be one of {', '.join(method.losses)}, got {loss!r}")
    for option, count in (("steps", steps), ("restarts", restarts)):
        if count is not None and count < 1:
            raise ValueError(f"{option} must be at least 1, got {count}")
    return Settings(
        name=name,
        norm=norm,
        steps=method.steps if steps is None else steps,
        restarts=method.restarts if restarts is None else restarts,
        loss=next(iter(method.losses), None) if loss is None else loss,
    )


def stages(chosen: Settings) -> list[Settings]:
    """The attacks to run one after the other: itself, or the parts of the ensemble."""
    if chosen.name != "auto":
        return [chosen]
    steps, restarts = chosen.steps or 1, chosen.restarts
    parts = []
    for name in ENSEMBLE:
        of_square = name == "square"
        wanted = QUERIES_PER_STEP * steps if of_square else steps
        parts.append(settings(name, norm=chosen.norm, steps=wanted, restarts=None if of_square else restarts))
    return parts
