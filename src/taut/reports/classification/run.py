"""A classification run, read and checked: everything that its page can say comes from here."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from taut.errors import UserError
from taut.files import read_json
from taut.reports.classification.evaluation import Evaluation, certified_fraction, read_evaluation
from taut.reports.classification.result import Result, read_result
from taut.reports.folder.metrics import Metrics, read_metrics
from taut.reports.folder.run_folder import RunFolder


@dataclass(frozen=True, kw_only=True)
class Run:
    """What a run folder holds. A part that is not there yet is None."""

    folder: RunFolder
    metrics: Metrics | None
    result: Result | None
    evaluation: Evaluation | None
    certificate: dict[str, Any] | None
    """`certificate.json` as it stands."""


def read_run(folder: RunFolder) -> Run:
    """Read the files of a classification run; a `UserError` names what is damaged."""
    result = folder.when_there("result.json", read_result)
    evaluation = folder.when_there("evaluation.safetensors", read_evaluation)
    if result is not None and evaluation is not None:
        _agree(result, evaluation, folder.path)
    return Run(
        folder=folder,
        metrics=folder.when_there("metrics.jsonl", read_metrics),
        result=result,
        evaluation=evaluation,
        certificate=folder.when_there("certificate.json", read_json),
    )


def _agree(result: Result, evaluation: Evaluation, path: Path) -> None:
    """Two files of one run that tell two stories must not be put on one page."""
    if result.samples != len(evaluation.radius):
        raise UserError(
            f"{path} is damaged: result.json speaks of {result.samples} samples, "
            f"evaluation.safetensors holds {len(evaluation.radius)}"
        )
    half_a_sample = 0.5 / max(result.samples, 1)
    for eps, fraction in result.certified.items():
        found = certified_fraction(evaluation.radius, eps)
        if abs(found - fraction) > half_a_sample:
            raise UserError(
                f"{path} is damaged: result.json says that {fraction} is certified at {eps:g}, "
                f"the radii in evaluation.safetensors say {found}"
            )
