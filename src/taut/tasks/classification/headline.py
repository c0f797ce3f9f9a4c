"""The numbers by which classifiers are compared."""

from collections.abc import Mapping
from typing import Any

from taut.tasks.headline import Headline


def headline(figures: Mapping[str, Any]) -> list[Headline]:
    """Accuracy, certified at the smallest, the middle and the largest radius, under attack at the middle one, and the
    proven constant."""
    certified, attacked = figures["certified"], figures["attacked"]
    radii = sorted(certified or attacked, key=float)
    middle = radii[len(radii) // 2] if radii else None
    fractions = {"accuracy": figures["accuracy"]}
    if whole := figures.get("held_out"):
        fractions |= {"accuracy of all pictures": whole["accuracy"], "top-5 accuracy of all pictures": whole["top5"]}
    if certified and middle:
        fractions |= {f"certified at {eps}": certified[eps] for eps in dict.fromkeys([radii[0], middle, radii[-1]])}
    if middle in attacked:
        some = figures.get("attack", {}).get("samples", figures.get("samples"))
        of = "" if some == figures.get("samples") else f", of {some}"  # other samples than those above
        fractions[f"attacked at {middle}{of}"] = attacked[middle]
    return [
        *(Headline(name=name, value=value, better="higher", unit="fraction") for name, value in fractions.items()),
        Headline(name="proven constant", value=figures["lipschitz_bound"], better=None),
    ]
