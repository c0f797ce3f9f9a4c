"""From a template and what it shows to the bytes of one self-contained HTML file."""

import base64
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from taut.reports.page import numbers


def render(template: str, context: dict[str, Any]) -> bytes:
    """Fill a template, named by its path below the room of reports.

    Everything is escaped, and a name that is not given is an error.
    """
    return _environment().get_template(template).render(context).encode("utf-8")


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parents[1]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "percent": numbers.percent,
        "upper": numbers.upper,
        "lower": numbers.lower,
        "distance": numbers.distance,
        "distance_lower": numbers.distance_lower,
        "distance_upper": numbers.distance_upper,
        "whole": numbers.whole,
        "levels": numbers.levels,
        "duration": numbers.duration,
        "norm": numbers.NORM_NAMES.__getitem__,
        "base64": lambda content: base64.b64encode(content).decode("ascii"),
    }
    return environment
