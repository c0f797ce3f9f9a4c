"""A run folder, read and checked: everything that a page can say comes from here."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from taut.errors import UserError
from taut.files import read_json
from taut.reports.evaluation import Evaluation, certified_fraction, read_evaluation
from taut.reports.fields import Fields
from taut.reports.metrics import Metrics, read_metrics
from taut.reports.result import Result, read_result

KNOWN_TASKS = ("classification",)


@dataclass(frozen=True, kw_only=True)
class Run:
    """What a run folder holds. A part that is not there yet is None."""

    path: Path
    config: dict[str, Any]
    """`config.json` as it stands."""
    settings: dict[str, Any]
    """The configuration in it, as flat `section.option: value` pairs."""
    metrics: Metrics | None
    result: Result | None
    evaluation: Evaluation | None
    certificate: dict[str, Any] | None
    """`certificate.json` as it stands."""

    @property
    def name(self) -> str:
        """Name of the folder."""
        return self.path.resolve().name

    @property
    def recipe(self) -> str:
        """Name of the recipe that was trained."""
        return str(self.config.get("recipe", "unknown"))


def read_run(path: Path) -> Run:
    """Read a run folder.

    Raises:
        UserError: if the folder is no run, belongs to a task that has no page, or holds a damaged file.
    """
    if not path.is_dir():
        raise UserError(f"{path} is no run folder: there is no such folder")
    if not (path / "config.json").is_file():
        raise UserError(f"{path} is no run folder: it has no config.json")
    config = read_json(path / "config.json")
    task = config.get("task")
    if task not in KNOWN_TASKS:
        raise UserError(f"{path / 'config.json'} names the task {task!r}; reports know: {', '.join(KNOWN_TASKS)}")
    result = _when_there(path / "result.json", read_result)
    evaluation = _when_there(path / "evaluation.safetensors", read_evaluation)
    if result is not None and evaluation is not None:
        _agree(result, evaluation, path)
    return Run(
        path=path,
        config=config,
        settings=_flat(Fields(config, path / "config.json").mapping("config"), ""),
        metrics=_when_there(path / "metrics.jsonl", read_metrics),
        result=result,
        evaluation=evaluation,
        certificate=_when_there(path / "certificate.json", read_json),
    )


def _when_there(path: Path, read: Any) -> Any:
    return read(path) if path.is_file() else None


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


def _flat(values: dict[str, Any], prefix: str) -> dict[str, Any]:
    pairs: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, dict) and value:
            pairs |= _flat(value, f"{prefix}{name}.")
        else:
            pairs[prefix + name] = value
    return pairs
