"""What the page of a denoising run shows."""

from dataclasses import dataclass

from taut.reports.denoising.evaluation import Evaluation, read_evaluation
from taut.reports.denoising.learning_plot import learning_picture
from taut.reports.denoising.result import METHODS, Result, read_result
from taut.reports.denoising.scatter_plot import scatter_picture
from taut.reports.denoising.strip_plot import strips_picture
from taut.reports.folder.metrics import Metrics, read_metrics
from taut.reports.folder.run_folder import RunFolder
from taut.reports.page.numbers import whole
from taut.reports.page.page import Page
from taut.reports.pictures.activation_plot import activations_picture
from taut.reports.pictures.style import Picture


@dataclass(frozen=True, kw_only=True)
class Run:
    """What a run folder holds. A part that is not there yet is None."""

    metrics: Metrics | None
    result: Result | None
    evaluation: Evaluation | None


def denoising_page(folder: RunFolder) -> Page:
    """Read the run and draw it; a `UserError` names what is damaged."""
    run = Run(
        metrics=folder.when_there("metrics.jsonl", lambda path: read_metrics(path, required=())),
        result=folder.when_there("result.json", read_result),
        evaluation=folder.when_there("evaluation.safetensors", read_evaluation),
    )
    result = run.result
    return Page(
        folder=folder,
        template="denoising/report.html",
        provenance=result.provenance if result else None,
        pictures=_pictures(run, folder),
        context={"result": result, "methods": METHODS, "best": _best(result) if result else {}},
        counts={"parameters of the denoiser": whole(result.parameters)} if result else {},
    )


def _pictures(run: Run, folder: RunFolder) -> dict[str, Picture | None]:
    strips = run.evaluation.strips if run.evaluation else []
    return {
        "strips": strips_picture(strips) if strips else None,
        "learning": learning_picture(run.metrics) if run.metrics and not run.metrics.empty else None,
        "per_picture": scatter_picture(run.evaluation) if run.evaluation else None,
        "activations": activations_picture(folder),
    }


def _best(result: Result) -> dict[str, str]:
    """By set, the method with the highest PSNR."""
    return {
        name: max(found.scores, key=lambda method: found.scores[method].psnr) for name, found in result.sets.items()
    }
