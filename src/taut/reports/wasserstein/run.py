"""A Wasserstein run, read and checked: everything that its page can say comes from here."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from taut.errors import UserError
from taut.reports.folder.metrics import Metrics, read_metrics
from taut.reports.folder.run_folder import RunFolder
from taut.reports.wasserstein.evaluation import Evaluation, read_evaluation
from taut.reports.wasserstein.result import Result, read_result

ROUNDING = 1e-4
"""Far above the rounding of float32 sums, relative to the critic's largest value; far below a real difference."""


@dataclass(frozen=True, kw_only=True)
class Run:
    """What a run folder holds. A part that is not there yet is None."""

    metrics: Metrics | None
    result: Result | None
    evaluation: Evaluation | None


def read_run(folder: RunFolder) -> Run:
    """Read the files of a Wasserstein run; a `UserError` names what is damaged."""
    result = folder.when_there("result.json", read_result)
    evaluation = folder.when_there("evaluation.safetensors", read_evaluation)
    if result is not None and evaluation is not None:
        _agree(result, evaluation, folder.path)
    return Run(metrics=folder.when_there("metrics.jsonl", read_metrics), result=result, evaluation=evaluation)


def _agree(result: Result, evaluation: Evaluation, path: Path) -> None:
    """Two files of one run that tell two stories must not be put on one page."""
    counts = len(evaluation.p_values), len(evaluation.q_values)
    if counts != (result.samples, result.samples):
        raise UserError(
            f"{path} is damaged: result.json speaks of {result.samples} samples of each, "
            f"evaluation.safetensors holds {counts[0]} and {counts[1]}"
        )
    if evaluation.p_samples.shape[1:] != result.shape:
        raise UserError(
            f"{path} is damaged: result.json speaks of samples of shape {result.shape}, "
            f"evaluation.safetensors holds samples of shape {evaluation.p_samples.shape[1:]}"
        )
    if (result.beside is None) != (evaluation.beside_gradient_norm is None):
        raise UserError(
            f"{path} is damaged: only one of result.json and evaluation.safetensors speaks of a critic beside the first"
        )
    found = float(evaluation.p_values.mean() - evaluation.q_values.mean())
    largest = float(max(np.abs(evaluation.p_values).max(), np.abs(evaluation.q_values).max()))
    if abs(found - result.estimate) > ROUNDING * largest:
        raise UserError(
            f"{path} is damaged: result.json says that the estimate is {result.estimate}, "
            f"the values in evaluation.safetensors say {found}"
        )
