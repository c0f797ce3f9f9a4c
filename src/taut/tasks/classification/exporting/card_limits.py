"""What is proven of an exported network, how that can be checked, and what is not proven: sections of the card."""

from collections.abc import Sequence

from taut.certify import Certificate
from taut.tasks.classification.exporting.card_text import plain, upper

_NORMS = {
    "l2": "the square root of the sum of the squares of all changes of entries",
    "linf": "the largest change of any entry",
}


def guaranteed_section(certificate: Certificate | None, *, files: Sequence[str]) -> str:
    """What is proven, and in which arithmetic."""
    if certificate is None:
        return (
            "## What is guaranteed\n\nNothing: this network is **not certified**. No Lipschitz constant and no radius "
            "was proven of it."
        )
    norm = certificate.norm
    samples = "samples.npz" in files
    check = "taut verify certificate.json" if samples else "taut verify certificate.json --data samples.npz"
    without = "" if samples else "The samples are not in this folder: whoever has them in an npz file can check. "
    return f"""## What is guaranteed

- **The constant.** For any two inputs x and y, ||f(x) - f(y)|| <= {upper(certificate.lipschitz_bound)} ||x - y||,
  both lengths in the {norm} norm: {_NORMS[norm]}. f is the network with its
  weights exactly as they are stored, computed without rounding.
- **The radii.** Each held-out sample has a radius in `certificate.json`, 0 where nothing is proven of it. At every
  point whose {norm} distance from the sample is at most a radius that is not 0, inside [0, 1] or not, the network gives
  the sample's own class. This includes rounding, in this arithmetic:
  {certificate.arithmetic.statement}.
- **Radii of other inputs** are proven when you ask for them, by `net.certify(inputs)`: within them the *prediction*
  stays what it is, be it right or wrong.

A second implementation, which needs numpy alone, proves all of it again. {without}In this folder:

```
{check}
```"""


def limits_section(certificate: Certificate | None, *, name: str) -> str:
    """What a reader might think that is proven, and is not."""
    limits = [
        f"Nothing is said of other data than {plain(name)}. Accuracy was measured on its held-out samples; inputs that "
        "were taken, cut, scaled or lit otherwise are another matter, and so are labels that were wrong to begin with.",
        "Inputs are numbers in [0, 1], of exactly the shape above. Bytes of pictures have to be divided by 255 first, "
        "and pictures of other sizes to be resized: nothing here does it.",
    ]
    if certificate is None:
        return "## What is not\n\n" + _bullets(
            [
                "What withstood the attack may fall to another one, or to one that searches longer.",
                "`net.certify(inputs)` may still prove radii, where there is a proof for its layers; the figures above "
                "have nothing of it.",
                *limits,
            ]
        )
    other = "linf" if certificate.norm == "l2" else "l2"
    return "## What is not\n\n" + _bullets(
        [
            f"Changes that are larger than the radius in the {certificate.norm} norm, however harmless they look: "
            "rotations, shifts, blur, other light.",
            f'Radii in the {other} norm, which are others: `net.certify(inputs, norm="{other}")` proves them, where it '
            "can.",
            "That a class is right. The radius of an input of yours says that its class is stable, not that it is so.",
            "Inputs other than the held-out samples, until their own radius is computed; what share of them is "
            "certified is only estimated by the share of the held-out samples.",
            "Other arithmetic than the one above. `net(inputs)` computes in the type of the weights, float32, where "
            "rounding may decide between two logits that are almost equal. `net.certify(inputs, "
            'arithmetic="float32")` proves radii of that, without TF32.',
            *limits,
        ]
    )


def _bullets(lines: Sequence[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)
