"""Numbers, names and tables of a card in Markdown."""

import math
from collections.abc import Sequence
from decimal import ROUND_CEILING, Context

_SHOWN = 10


def percent(share: float) -> str:
    """A share as percent with two decimals.

    >>> percent(0.9375)
    '93.75 %'
    """
    return f"{100 * share:.2f} %"


def upper(bound: float) -> str:
    """An upper bound with eight digits, rounded up, so that what is printed is a bound too.

    >>> upper(1.00000001), upper(2.5), upper(123456789.0)
    ('1.0000001', '2.5', '1.2345679E+8')
    """
    return str(Context(prec=8, rounding=ROUND_CEILING).create_decimal_from_float(bound))


def standard_error(share: float, samples: int) -> float:
    """Of a share that was counted on so many independent samples.

    >>> standard_error(0.5, 100)
    0.05
    """
    return math.sqrt(share * (1 - share) / samples)


def plain(text: str) -> str:
    r"""Text in which nothing is markup, on one line.

    >>> plain("a|b *c*")
    'a\\|b \\*c\\*'
    """
    return "".join(f"\\{letter}" if letter in "\\`*_{}[]<>#|~!" else letter for letter in " ".join(text.split()))


def listed(names: Sequence[str]) -> str:
    """Names after each other; of many the first ten.

    >>> listed(["cat", "dog"])
    'cat, dog'
    """
    more = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {more} more" if more > 0 else "")


def shape_of(shape: Sequence[int]) -> str:
    """The shape of one input, in words where it is a picture.

    >>> shape_of((3, 32, 32)), shape_of((4,))
    ('3 x 32 x 32 (channels, rows, columns)', '4')
    """
    return " x ".join(map(str, shape)) + (" (channels, rows, columns)" if len(shape) == 3 else "")


def table(heading: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table; the cells are Markdown.

    >>> print(table(["a", "b"], [["1", "2"]]))
    | a | b |
    | --- | --- |
    | 1 | 2 |
    """
    lines = [heading, ["---"] * len(heading), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
