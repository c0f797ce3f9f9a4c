"""How numbers are written: aligned, with their unit, and never rounded to the flattering side."""

import math
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal, localcontext

_LARGE = 1e7
"""From here on numbers are written with a power of ten."""
_DIGITS = 1200
"""More than any double has, before and behind the point together."""
THIN_SPACE = "\u202f"
NORM_NAMES = {"l2": "\N{SCRIPT SMALL L}2", "linf": "\N{SCRIPT SMALL L}∞"}


def percent(fraction: float) -> str:
    """A fraction as percent with two decimals: 0.9375 -> "93.75 %"."""
    return f"{100 * fraction:.2f}{THIN_SPACE}%"


def upper(value: float, *, decimals: int = 7) -> str:
    """An upper bound, rounded up so that what is printed is a bound too: 1.00000001 -> "1.0000001".

    >>> upper(1.00000001), upper(2.5), upper(1.0), upper(1.2345e21)
    ('1.0000001', '2.5000000', '1.0000000', '1.235e21')
    """
    return _rounded(value, ROUND_CEILING, decimals)


def lower(value: float, *, decimals: int = 7) -> str:
    """A lower bound, rounded down: 0.99999999 -> "0.9999999"."""
    return _rounded(value, ROUND_FLOOR, decimals)


def distance(value: float) -> str:
    """A distance, rounded to the nearest: four decimals, or three digits where that shows more.

    >>> distance(0.99871), distance(12.5), distance(0.000123456)
    ('0.9987', '12.5000', '0.000123')
    """
    return f"{value:.{_decimals(value)}f}"


def distance_lower(value: float) -> str:
    """Like `distance`, rounded down."""
    return lower(value, decimals=_decimals(value))


def distance_upper(value: float) -> str:
    """Like `distance`, rounded up."""
    return upper(value, decimals=_decimals(value))


def _decimals(value: float) -> int:
    return max(4, 2 - math.floor(math.log10(abs(value)))) if value else 4


def _rounded(value: float, rounding: str, decimals: int) -> str:
    if not math.isfinite(value):
        return "∞" if value > 0 else "none"
    with localcontext(prec=_DIGITS):
        exact = Decimal(value)
        if abs(value) < _LARGE:
            return str(exact.quantize(Decimal(1).scaleb(-decimals), rounding=rounding))
        power = exact.adjusted()
        digits = exact.scaleb(-power).quantize(Decimal("0.001"), rounding=rounding)
        return f"{digits}e{power}"


def levels(radius: float | str) -> str:
    """A radius, or its key in result.json, in six digits; as a fraction of 255, the levels of a picture, where it is a
    whole number of them and not a short decimal fraction.

    >>> levels(36 / 255), levels("0.141176"), levels(1.0), levels(0.3)
    ('36/255', '36/255', '1', '0.3')
    """
    key = radius if isinstance(radius, str) else f"{radius:g}"
    count = round(255 * float(key))
    return f"{count}/255" if count and len(key) > 6 and key == f"{count / 255:g}" else key


def whole(value: int) -> str:
    """A count with its thousands apart: 1234567 -> "1 234 567"."""
    return f"{value:,}".replace(",", THIN_SPACE)


def duration(seconds: float) -> str:
    """A time as a person says it.

    >>> duration(4.21), duration(75.0), duration(7384.0)
    ('4.2 s', '1 min 15 s', '2 h 03 min')
    """
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def standard_error(fraction: float, samples: int) -> float:
    """Standard error of a fraction that was counted on so many independent samples."""
    return math.sqrt(fraction * (1 - fraction) / max(samples, 1))
