"""A run of an invertible network, read and checked: everything that its page can say comes from here."""

from dataclasses import dataclass
from pathlib import Path

from taut.errors import UserError
from taut.reports.folder.metrics import Metrics, read_metrics
from taut.reports.folder.run_folder import RunFolder
from taut.reports.invertible.evaluation import Evaluation, read_evaluation
from taut.reports.invertible.result import Result, read_result


@dataclass(frozen=True, kw_only=True)
class Run:
    """What a run folder holds. A part that is not there yet is None."""

    metrics: Metrics | None
    result: Result | None
    evaluation: Evaluation | None


def read_run(folder: RunFolder) -> Run:
    """Read the files of a run; a `UserError` names what is damaged."""
    result = folder.when_there("result.json", read_result)
    evaluation = folder.when_there("evaluation.safetensors", read_evaluation)
    if result is not None and evaluation is not None:
        _agree(result, evaluation, folder.path)
    return Run(metrics=folder.when_there("metrics.jsonl", read_metrics), result=result, evaluation=evaluation)


def _agree(result: Result, evaluation: Evaluation, path: Path) -> None:
    """Two files of one run that tell two stories must not be put on one page."""
    if evaluation.data.shape[1] != result.features:
        raise UserError(
            f"{path} is damaged: result.json speaks of {result.features} features, evaluation.safetensors holds "
            f"samples of {evaluation.data.shape[1]}"
        )
    if len(evaluation.residuals) != len(result.contractions):
        raise UserError(
            f"{path} is damaged: result.json speaks of {len(result.contractions)} blocks, evaluation.safetensors of "
            f"{len(evaluation.residuals)}"
        )
