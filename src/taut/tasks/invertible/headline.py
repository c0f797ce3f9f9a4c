"""The numbers by which invertible networks are compared."""

from collections.abc import Mapping
from typing import Any

from taut.tasks.headline import Headline


def headline(figures: Mapping[str, Any]) -> list[Headline]:
    """Likelihood, both MMDs, transport, the error of the inverse, and the steps that were proven to be enough."""
    likelihood, transport, mmd = figures["log_likelihood"] or {}, figures["wasserstein1"] or {}, figures["mmd"]
    inversion = figures["inversion"]
    return [
        Headline(name="log-likelihood", value=likelihood.get("value"), better="higher"),
        Headline(name="below the truth", value=likelihood.get("gap"), better="lower"),
        Headline(name="MMD forward", value=mmd["forward"], better="lower"),
        Headline(name="MMD inverse", value=mmd["inverse"], better="lower"),
        Headline(name="W1 of samples", value=transport.get("value"), better="lower"),
        Headline(name="largest inversion error", value=inversion["max_error"], better="lower"),
        Headline(name="proven steps", value=sum(inversion["proven_steps"]), better="lower"),
    ]
