"""What the page of a GAN run shows."""

from typing import Any

from taut.reports.folder.run_folder import RunFolder
from taut.reports.gan.learning_plot import learning_picture
from taut.reports.gan.run import Run, read_run
from taut.reports.page.numbers import whole
from taut.reports.page.page import Page
from taut.reports.pictures.activation_plot import activations_picture

TYPES = {
    "wgan": "Its weights are clipped, which keeps its slope below some number, but the run proves none",
    "wgan-gp": "A penalty pulls the length of its gradient towards 1 at the points visited, and says nothing of others",
}
"""By the type of the GAN: why there is no proven constant."""


def gan_page(folder: RunFolder) -> Page:
    """Read the run and draw it; a `UserError` names what is damaged."""
    run = read_run(folder)
    result = run.result
    parameters = result.parameters if result else {}
    return Page(
        folder=folder,
        template="gan/report.html",
        provenance=result.provenance if result else None,
        pictures={
            "learning": learning_picture(run.metrics) if run.metrics and not run.metrics.empty else None,
            "activations": activations_picture(folder),
        },
        context=_context(run),
        counts={f"parameters of the {name}": whole(count) for name, count in parameters.items()},
    )


def _context(run: Run) -> dict[str, Any]:
    return {
        "result": run.result,
        "quality": run.result.quality if run.result else None,
        "why_unproven": TYPES.get(run.result.gan_type) if run.result else None,
        "files": {
            "samples": run.samples,
            "real": run.real,
            "interpolation": run.interpolation,
            "animation": run.animation,
        },
        "progress": run.progress,
    }
