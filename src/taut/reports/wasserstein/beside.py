"""A second critic, trained on the same batches with another activation: it takes no part in the bracket."""

from dataclasses import dataclass

from taut.models import critic_activations
from taut.reports.folder.fields import Fields
from taut.reports.wasserstein.gradient_norm import GradientNorm, read_gradient_norm

UNNAMED = "another activation"
"""What it is called before there is a `result.json` that says which."""


@dataclass(frozen=True, kw_only=True)
class Beside:
    """Its numbers, those of the first critic's in kind."""

    name: str
    """Of its activation, as a person writes it."""
    lipschitz_bound: float
    estimate: float
    gradient_norm: GradientNorm | None


def read_beside(fields: Fields) -> Beside | None:
    """The field "beside" of `result.json`; None where it is absent or null."""
    if fields.values.get("beside") is None:
        return None
    inner = fields.inner("beside")
    return Beside(
        name=activation_name(inner.text("activation")),
        lipschitz_bound=inner.number("lipschitz_bound"),
        estimate=inner.number("estimate"),
        gradient_norm=read_gradient_norm(inner),
    )


def activation_name(key: str) -> str:
    """An activation of the command line as a person writes it: its class's name, or `key` where it is none of ours.

    >>> activation_name("relu"), activation_name("max-min"), activation_name("mine")
    ('ReLU', 'MaxMin', 'mine')
    """
    known = critic_activations()
    return known[key].__name__ if key in known else key
