"""What networks of norm-1 layers can represent with each activation, in one sentence each; proofs in docs/fits.md."""

_ONE_SIDED = (
    "no function that has slope 1 in one place and -1 in another: where the gradient keeps its norm, the same entries "
    "pass, so that its direction is the same"
)
_TWO_PIECES = (
    "slopes 1 and -1 side by side, also flat parts, as averages; of functions with slopes 1 and -1 alone only those "
    "whose extrema can be unfolded from the outermost inwards: f4-sawtooth, but not f4"
)
_SOURCE_ONE_SIDED = "Anil, Lucas and Grosse (2019), theorem 1"
_SOURCE_TWO_PIECES = "Prach and Lampert (2024)"

ABILITIES: dict[str, tuple[str, str]] = {
    "relu": (_ONE_SIDED, _SOURCE_ONE_SIDED),
    "max-out": (_ONE_SIDED, "the same argument"),
    "concat-relu": (f"{_ONE_SIDED}; it loses less, as both signs are kept", "the same argument"),
    "smooth": ("slopes strictly between -1 and 1 but for single points: 1 is only approached", "its derivative"),
    "smooth-max-min": (
        "slope 1 or -1 in one point only where it is linear everywhere: kinks are rounded over the width 0.1",
        "its Jacobian, of singular values 1 and less than 1",
    ),
    "abs": (_TWO_PIECES, _SOURCE_TWO_PIECES),
    "lipschitz-prelu": (_TWO_PIECES, _SOURCE_TWO_PIECES),
    "max-min": (_TWO_PIECES, _SOURCE_TWO_PIECES),
    "group-sort": (f"{_TWO_PIECES}; a group is several MaxMin layers in one", _SOURCE_TWO_PIECES),
    "full-sort": (f"{_TWO_PIECES}; it is several MaxMin layers in one", _SOURCE_TWO_PIECES),
    "householder-activation": (f"{_TWO_PIECES}; a pair is a rotated MaxMin", _SOURCE_TWO_PIECES),
    "householder-order-2": (
        "slopes 1 and -1 side by side, also flat parts, as averages; more folds in a layer than order 1",
        "Singla, Singla and Feizi (2022)",
    ),
    "n-activation": (
        "every continuous piecewise linear function with slopes in [-1, 1], in networks of sufficient size",
        "Prach and Lampert (2024)",
    ),
    "linear-spline": (
        "every function that is linear between its knots with slopes in [-1, 1], by one channel alone",
        "Neumayer, Goujon, Bohra and Unser (2023)",
    ),
}
"""By activation: what it can represent, and why. Orthonormal layers and those of spectral norm 1 alike: the arguments
use that no layer is longer than 1, and what is possible is possible with orthonormal ones."""


def ability(activation: str) -> tuple[str, str]:
    """The sentence and its source; empty for an activation that nothing is said of."""
    return ABILITIES.get(activation, ("", ""))
