"""What the page of a full evaluation shows."""

from pathlib import Path
from typing import Any

from jinja2 import UndefinedError

from taut.errors import UserError
from taut.files import write_bytes
from taut.reports.classification.margin_plot import margin_picture
from taut.reports.evaluation.confusion_plot import confusion_picture
from taut.reports.evaluation.distance_plot import distance_picture
from taut.reports.evaluation.histograms import radius_picture
from taut.reports.evaluation.read import Evaluation, read_evaluation
from taut.reports.evaluation.samples_plot import gradients_picture, pairs_picture
from taut.reports.evaluation.units_plot import units_picture
from taut.reports.folder.provenance import facts, reproduce_command
from taut.reports.folder.run_folder import RunFolder, read_folder
from taut.reports.page.numbers import distance, lower, upper
from taut.reports.page.render import render
from taut.reports.pictures.style import Picture

FOLDER = "evaluation"
_DISTANCES = {
    "certified_radius": "certified: no smaller change alters the class",
    "first_order_estimate": "first-order estimate",
    "second_order_estimate": "second-order estimate",
    "attacked_distance": "attack: a change of this size alters the class",
}


_NAMED = 5
"""Layers that are named in a sentence; more are counted."""


def write_evaluation(run_dir: Path) -> Path:
    """Write `evaluation/report.html`, and its plots, into a run that has been evaluated in full; return the path.

    Everything is drawn before anything is written.

    Raises:
        UserError: if the folder is no run, was not evaluated, holds a damaged file, or cannot be written.
    """
    folder = read_folder(Path(run_dir))
    evaluation = read_evaluation(folder.path / FOLDER)
    try:
        pictures = _pictures(evaluation)
        html = render("evaluation/report.html", _context(folder, evaluation, pictures))
    except (KeyError, IndexError, TypeError, ValueError, UndefinedError) as error:
        raise UserError(f"{evaluation.path} is damaged: {type(error).__name__}: {error}") from error
    for picture in pictures.values():
        if picture:
            write_bytes(evaluation.path / "plots" / f"{picture.name}.png", picture.light)
    write_bytes(evaluation.path / "report.html", html)
    return evaluation.path / "report.html"


def _pictures(evaluation: Evaluation) -> dict[str, Picture | None]:
    classes = evaluation.figures["classes"]
    return {
        "distances": distance_picture(evaluation),
        "radii": radius_picture(evaluation),
        "margins": margin_picture(evaluation.samples),
        "closest": pairs_picture(evaluation, classes),
        "units": units_picture(evaluation),
        "gradients": gradients_picture(evaluation, classes),
        "confusion": confusion_picture(evaluation, classes),
    }


def _context(folder: RunFolder, evaluation: Evaluation, pictures: dict[str, Picture | None]) -> dict[str, Any]:
    figures = evaluation.figures
    return {
        "run": folder,
        "pictures": pictures,
        "command": reproduce_command(folder, evaluation.provenance),
        "facts": facts(folder, evaluation.provenance, {}),
        "figures": figures,
        "lipschitz": _lipschitz(figures["lipschitz"]),
        "distances": [
            {"name": words, **figures["distance"][name]}
            for name, words in _DISTANCES.items()
            if name in figures["distance"]
        ],
        "shown": lambda value: "∞" if value is None else distance(value),
        "shares": list(figures["units"][0]["active_on"]) if figures["units"] else [],
        "middle": _middle(figures),
        "radii": sorted(figures["certified"] or figures["attacked"], key=float),
    }


def _middle(figures: dict[str, Any]) -> str | None:
    """The radius at which the classes are shown under attack."""
    radii = sorted(figures["attacked"], key=float)
    return radii[len(radii) // 2] if radii else None


def _lipschitz(values: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Name, number rounded to the honest side, and what it means."""
    bound = values["lipschitz_bound"]
    left_out = values["weight_norm_left_out"]
    product = "the norms of all matrices and kernels, each bounded, multiplied: what the literature reports"
    if left_out:
        many = len(left_out) > _NAMED
        product += f"; without the weights of {f'{len(left_out)} layers' if many else ', '.join(left_out)}"
    return [
        (
            "Jacobian at the data",
            lower(values["jacobian_norm_estimate"]),
            "largest norm of the Jacobian at a sample: an estimate, the constant is at least this up to rounding",
        ),
        (
            "search",
            lower(values["search_estimate"]),
            "steepest pair of points that a search found, near the data or not: an estimate from below",
        ),
        (
            "proven bound",
            "not certified" if bound is None else upper(bound),
            f"there is none: {values['no_bound_because']}" if bound is None else "proven: the constant is at most this",
        ),
        ("product of weight norms", upper(values["weight_norm_product"]), product),
    ]
