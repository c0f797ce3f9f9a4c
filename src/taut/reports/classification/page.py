"""What the page of a classification run shows."""

from typing import Any

from taut.reports.classification.certified_plot import certified_picture
from taut.reports.classification.evaluation import broken_certificates
from taut.reports.classification.learning_plot import learning_picture
from taut.reports.classification.margin_plot import margin_picture
from taut.reports.classification.picture_grid import grid_picture
from taut.reports.classification.result import Result
from taut.reports.classification.run import Run, read_run
from taut.reports.folder.run_folder import RunFolder
from taut.reports.page.numbers import standard_error, whole
from taut.reports.page.page import Page
from taut.reports.pictures.activation_plot import activations_picture
from taut.reports.pictures.spectrum_plot import layers_with_spectrum, spectrum_picture
from taut.reports.pictures.style import Picture

NORM_WORDS = {"l2": "Euclidean length (l2 norm)", "linf": "largest entry (linf norm)"}


def classification_page(folder: RunFolder) -> Page:
    """Read the run and draw it; a `UserError` names what is damaged."""
    run = read_run(folder)
    parameters = run.result.parameters if run.result else None
    return Page(
        folder=folder,
        template="classification/report.html",
        provenance=run.result.provenance if run.result else None,
        pictures=_pictures(run),
        context=_context(run),
        counts={} if parameters is None else {"parameters": whole(parameters)},
    )


def _pictures(run: Run) -> dict[str, Picture | None]:
    evaluation, result, metrics = run.evaluation, run.result, run.metrics
    most = evaluation.most_certified if evaluation else None
    least = evaluation.least_certified if evaluation else None
    logged = metrics if metrics and not metrics.empty else None
    layers = result.layers if result else []
    return {
        "certified": certified_picture(result, evaluation) if result and result.certified and evaluation else None,
        "margins": margin_picture(evaluation) if evaluation else None,
        "most": grid_picture("most_certified", evaluation, most) if evaluation and most else None,
        "least": grid_picture("least_certified", evaluation, least) if evaluation and least else None,
        "learning": learning_picture(logged, result.norm if result else None) if logged else None,
        "spectrum": spectrum_picture(layers) if layers_with_spectrum(layers) else None,
        "activations": activations_picture(run.folder),
    }


def _context(run: Run) -> dict[str, Any]:
    result = run.result
    return {
        "result": result,
        "headline": next((eps for eps in result.certified if eps > 0), None) if result else None,
        "radii": _radii(result) if result else [],
        "partly_attacked": bool(result and result.attacked and result.attack.samples < result.samples),
        "largest_error": _largest_error(result) if result else None,
        "broken": broken_certificates(run.evaluation) if run.evaluation else {},
        "norm_words": NORM_WORDS[result.norm] if result else None,
        "certificate": run.certificate,
        "arithmetic": _arithmetic(run),
        "model_hash": str((run.certificate or {}).get("model_hash", ""))[:16],
    }


def _radii(result: Result) -> list[dict[str, float | None]]:
    listed = sorted(set(result.certified) | set(result.attacked))
    return [
        {
            "eps": eps,
            "certified": result.certified.get(eps),
            "attacked": result.attacked.get(eps),
            "certified_attacked": result.attack.certified.get(eps),
            "undecided": _difference(result.attacked.get(eps), result.attack.certified.get(eps)),
        }
        for eps in listed
        if eps > 0
    ]


def _difference(larger: float | None, smaller: float | None) -> float | None:
    return None if larger is None or smaller is None else larger - smaller


def _largest_error(result: Result) -> float:
    fractions = [result.accuracy, *result.certified.values()]
    errors = [standard_error(fraction, result.samples) for fraction in fractions]
    return max(errors + [standard_error(fraction, result.attack.samples) for fraction in result.attacked.values()])


def _arithmetic(run: Run) -> str:
    said = (run.certificate or {}).get("arithmetic")
    if not isinstance(said, str):
        return "The run has no certificate that says in which arithmetic the network must be evaluated."
    return f"{said}. Rounding errors of that arithmetic are counted against the margin."
