"""What the page of an invertible network shows."""

from typing import Any

from taut.reports.folder.run_folder import RunFolder
from taut.reports.invertible.density_plot import density_picture, samples_picture
from taut.reports.invertible.inverse_plot import inverse_picture
from taut.reports.invertible.latent_plot import latent_picture
from taut.reports.invertible.learning_plot import learning_picture
from taut.reports.invertible.run import Run, read_run
from taut.reports.page.numbers import whole
from taut.reports.page.page import Page
from taut.reports.pictures.activation_plot import activations_picture
from taut.reports.pictures.spectrum_plot import layers_with_spectrum, spectrum_picture
from taut.reports.pictures.style import Picture

LOSSES = {
    "mmd-forward": "forward MMD: latents of data against normal samples",
    "mmd-inverse": "inverse MMD: inverses of normal samples against data",
    "mmd-both": "forward and inverse MMD",
    "likelihood": "minus the log-likelihood",
}


def invertible_page(folder: RunFolder) -> Page:
    """Read the run and draw it; a `UserError` names what is damaged."""
    run = read_run(folder)
    parameters = run.result.parameters if run.result else None
    return Page(
        folder=folder,
        template="invertible/report.html",
        provenance=run.result.provenance if run.result else None,
        pictures=_pictures(run) | {"activations": activations_picture(folder)},
        context=_context(run),
        counts={} if parameters is None else {"parameters": whole(parameters)},
    )


def _pictures(run: Run) -> dict[str, Picture | None]:
    result, evaluation = run.result, run.evaluation
    drawn = evaluation.drawn if evaluation else None
    logged = run.metrics if run.metrics and not run.metrics.empty else None
    layers = result.layers if result else []
    plane = drawn is not None and drawn.density.ndim == 2
    return {
        "density": density_picture(evaluation, drawn) if evaluation and drawn else None,
        "samples": samples_picture(evaluation) if evaluation and plane else None,
        "latents": latent_picture(evaluation, drawn) if evaluation and drawn and plane else None,
        "inverse": inverse_picture(evaluation, result) if evaluation and result else None,
        "learning": learning_picture(logged, result) if logged else None,
        "spectrum": spectrum_picture(layers) if layers_with_spectrum(layers) else None,
    }


def _context(run: Run) -> dict[str, Any]:
    result, evaluation = run.result, run.evaluation
    drawn = evaluation.drawn if evaluation else None
    return {
        "result": result,
        "loss": LOSSES.get(result.loss, result.loss) if result else "",
        "truth_known": drawn is not None and drawn.truth is not None,
        "evaluated": evaluation is not None,
    }
