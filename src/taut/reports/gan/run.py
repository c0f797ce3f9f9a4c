"""A GAN run, read and checked: everything that its page can say comes from here."""

from dataclasses import dataclass
from pathlib import Path

from taut.errors import UserError
from taut.reports.folder.metrics import Metrics, read_metrics
from taut.reports.folder.run_folder import RunFolder
from taut.reports.gan.result import Result, read_result
from taut.reports.pictures.files import PictureFile, read_picture

MOMENTS = 6
"""Pictures of the progress that the page shows."""


@dataclass(frozen=True, kw_only=True)
class Run:
    """What a run folder holds. A part that is not there yet is None."""

    metrics: Metrics | None
    result: Result | None
    samples: PictureFile | None
    """A grid of generated pictures."""
    real: PictureFile | None
    """A grid of held-out pictures."""
    interpolation: PictureFile | None
    animation: PictureFile | None
    progress: dict[int, PictureFile]
    """Some of the grids during the training, by the step."""


def read_run(folder: RunFolder) -> Run:
    """Read the files of a GAN run; a `UserError` names what is damaged."""
    return Run(
        metrics=folder.when_there("metrics.jsonl", lambda path: read_metrics(path, required=())),
        result=folder.when_there("result.json", read_result),
        samples=folder.when_there("samples.png", read_picture),
        real=folder.when_there("real.png", read_picture),
        interpolation=folder.when_there("interpolation.png", read_picture),
        animation=folder.when_there("samples.gif", read_picture),
        progress=_read_progress(folder.path / "samples"),
    )


def _read_progress(path: Path) -> dict[int, PictureFile]:
    paths = {_step(file): file for file in path.glob("*.png")}
    return {step: read_picture(paths[step]) for step in chosen(sorted(paths))}


def _step(path: Path) -> int:
    if not path.stem.isdecimal():
        raise UserError(f"{path} is damaged: its name must be the step at which it was drawn")
    return int(path.stem)


def chosen(steps: list[int], count: int = MOMENTS) -> list[int]:
    """So many of the steps in order, the first and the last among them, the others evenly between by their place.

    >>> chosen([0, 100, 200, 300, 400], 3)
    [0, 200, 400]
    """
    if len(steps) <= count:
        return steps
    return [steps[round(index * (len(steps) - 1) / (count - 1))] for index in range(count)]
