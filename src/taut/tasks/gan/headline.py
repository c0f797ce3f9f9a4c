"""The numbers by which GANs are compared."""

from collections.abc import Mapping
from typing import Any

from taut.errors import UsageError
from taut.tasks.gan.config import Config
from taut.tasks.headline import Headline


def headline(figures: Mapping[str, Any]) -> list[Headline]:
    """Quality of the generated pictures, where it was measured, and the critic's constant, where one is proven."""
    quality = figures["quality"] or {}
    distance = (quality.get("wasserstein1") or {}).get("transport")
    return [
        Headline(name="Fréchet distance", value=quality.get("frechet"), better="lower"),
        Headline(name="precision", value=quality.get("precision"), better="higher", unit="fraction"),
        Headline(name="recall", value=quality.get("recall"), better="higher", unit="fraction"),
        Headline(name="W1, exact between samples", value=distance, better="lower"),
        Headline(name="proven constant of the critic", value=figures["lipschitz_bound"], better=None),
    ]


def check_comparable(config: Config) -> None:
    """Raise UsageError where the activation of the critic is never used."""
    if config.gan.gan_type != "lwgan":
        raise UsageError(
            f"the discriminator of {config.gan.gan_type} has no activation to choose; --gan-type lwgan has"
        )
