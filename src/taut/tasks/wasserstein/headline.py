"""The numbers by which critics are compared."""

from collections.abc import Mapping
from typing import Any

from taut.tasks.headline import Headline


def headline(figures: Mapping[str, Any]) -> list[Headline]:
    """What the critic finds of the distance, on held-out samples, and how steep it is."""
    truth = figures["truth"]
    share = figures["estimate"] / truth if truth else None
    return [
        Headline(name="lower end", value=figures["lower"], better="higher"),
        Headline(name="estimate", value=figures["estimate"], better="higher"),
        *([] if share is None else [Headline(name="of the truth", value=share, better="higher", unit="fraction")]),
        Headline(name="gradient norm", value=figures["gradient_norm"]["mean"], better="higher"),
        Headline(name="proven constant", value=figures["lipschitz_bound"], better=None),
    ]
