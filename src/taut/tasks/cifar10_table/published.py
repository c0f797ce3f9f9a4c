"""Published numbers of the same comparison: 24 hours of training of each layer on one GPU."""

PUBLISHED: dict[str, dict[str, tuple[float, float]]] = {
    "aol": {"xs": (0.717, 0.591), "l": (0.737, 0.615)},
    "bcop": {"xs": (0.717, 0.585), "l": (0.746, 0.615)},
    "cayley": {"xs": (0.731, 0.595), "l": (0.744, 0.610)},
    "cpl": {"xs": (0.749, 0.625), "l": (0.769, 0.652)},
    "sll": {"xs": (0.737, 0.610), "l": (0.753, 0.628)},
    "soc": {"xs": (0.741, 0.613), "l": (0.769, 0.663)},
}
"""On CIFAR-10, by layer and size of the network: accuracy, and certified accuracy at 36/255 (Prach, Brau, Buttazzo and
Lampert, 2024)."""


def published(dataset: str, convolution: str) -> dict[str, dict[str, float]]:
    """What was published of a layer, by size of the network; nothing of other data sets.

    >>> published("cifar10", "aol")["l"]
    {'accuracy': 0.737, 'certified': 0.615}
    """
    known = PUBLISHED.get(convolution, {}) if dataset == "cifar10" else {}
    return {size: {"accuracy": clean, "certified": proven} for size, (clean, proven) in known.items()}
