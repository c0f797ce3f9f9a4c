"""What the page of a Wasserstein run shows."""

from typing import Any

from taut.reports.folder.run_folder import RunFolder
from taut.reports.page.numbers import whole
from taut.reports.page.page import Page
from taut.reports.pictures.activation_plot import activations_picture
from taut.reports.pictures.images import rows_picture
from taut.reports.pictures.spectrum_plot import layers_with_spectrum, spectrum_picture
from taut.reports.pictures.style import Picture
from taut.reports.wasserstein.beside import UNNAMED
from taut.reports.wasserstein.bracket_plot import bracket_picture
from taut.reports.wasserstein.evaluation import Evaluation, Potential
from taut.reports.wasserstein.gradient_plot import gradient_picture
from taut.reports.wasserstein.learning_plot import learning_picture
from taut.reports.wasserstein.potential_plot import contour_picture, curve_picture, surface_picture
from taut.reports.wasserstein.result import Result, fraction
from taut.reports.wasserstein.run import Run, read_run

STEEPEST = 1.001
"""A measured slope above this contradicts the proof: float32 rounding of a gradient stays far below."""


def wasserstein_page(folder: RunFolder) -> Page:
    """Read the run and draw it; a `UserError` names what is damaged."""
    run = read_run(folder)
    parameters = run.result.parameters if run.result else None
    return Page(
        folder=folder,
        template="wasserstein/report.html",
        provenance=run.result.provenance if run.result else None,
        pictures=_pictures(run) | _potentials(run) | {"activations": activations_picture(folder)},
        context=_context(run),
        counts={} if parameters is None else {"parameters": whole(parameters)},
    )


def _pictures(run: Run) -> dict[str, Picture | None]:
    result, evaluation = run.result, run.evaluation
    logged = run.metrics if run.metrics and not run.metrics.empty else None
    layers = result.layers if result else []
    return {
        "bracket": bracket_picture(result) if result else None,
        "learning": learning_picture(logged, result) if logged else None,
        "gradients": gradient_picture(evaluation, beside=_beside(run)) if evaluation else None,
        "samples": _samples(evaluation) if evaluation and result and result.of_pictures else None,
        "spectrum": spectrum_picture(layers) if layers_with_spectrum(layers) else None,
    }


def _samples(evaluation: Evaluation) -> Picture:
    rows = {"P": evaluation.p_samples, "Q": evaluation.q_samples}
    return rows_picture("samples", "A row of samples of P and one of samples of Q", rows)


def _potentials(run: Run) -> dict[str, Picture | None]:
    none: dict[str, Picture | None] = {"curve": None, "contours": None, "surface": None}
    evaluation, potential = run.evaluation, _shown_potential(run)
    if evaluation is None or potential is None:
        return none
    if potential.critic.ndim == 1:
        return none | {"curve": curve_picture(evaluation, potential, beside=_beside(run))}
    return none | {
        "contours": contour_picture(evaluation, potential, beside=_beside(run)),
        "surface": surface_picture(potential, beside=_beside(run)),
    }


def _beside(run: Run) -> str:
    """Name of the activation of the critic beside the first, where there is one."""
    return run.result.beside.name if run.result and run.result.beside else UNNAMED


def _shown_potential(run: Run) -> Potential | None:
    """A plane through two pixels says nothing, so pictures have none."""
    pictures = run.result is not None and run.result.of_pictures
    return None if pictures or run.evaluation is None else run.evaluation.potential


def _context(run: Run) -> dict[str, Any]:
    result, potential = run.result, _shown_potential(run)
    compared = result.beside if result else None
    return {
        "result": result,
        "of_truth": fraction(result.estimate, result.truth) if result else None,
        "of_transport": fraction(result.estimate, result.transport) if result else None,
        "beside_of_truth": fraction(compared.estimate, result.truth) if result and compared else None,
        "beside_of_transport": fraction(compared.estimate, result.transport) if result and compared else None,
        "beside_shown": potential is not None and potential.beside is not None,
        "beside_drawn": run.evaluation is not None and run.evaluation.beside_gradient_norm is not None,
        "beside_logged": run.metrics is not None and bool(run.metrics.series("valid", "beside")[1]),
        "beside_name": _beside(run),
        "too_steep": _too_steep(result) if result else {},
        "truth_known": potential is not None and potential.truth is not None,
    }


def _too_steep(result: Result) -> dict[str, float]:
    """Each critic of which a slope was measured that its constant excludes, with that slope."""
    measured = {"critic": result.gradient_norm}
    if result.beside:
        measured[f"critic with {result.beside.name}"] = result.beside.gradient_norm
    return {name: norm.maximum for name, norm in measured.items() if norm and norm.maximum > STEEPEST}
