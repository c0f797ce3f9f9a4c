"""From finished runs to the content of a comparison, and the page of runs that were made one by one."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from taut.errors import UserError
from taut.files import read_json
from taut.tasks import NAMES
from taut.tasks.headline import headlines
from taut.training.run_folder import RunFolder, read_manifest


def compared(name: str, folders: Mapping[str, Path]) -> dict[str, Any]:
    """The numbers of the finished runs `folders`, by label, all of the task called `name`.

    Raises:
        UserError: A run is not finished, or its result.json damaged.
    """
    return {"task": name, "runs": [_row(name, label, path) for label, path in folders.items()]}


def compare_finished(paths: Sequence[Path], out: Path) -> Path:
    """Write a page that compares finished runs of one task to the file `out`; returns it.

    Raises:
        UserError: A folder is no finished run, or they are of several tasks.
    """
    from taut.reports import labels, write_comparison, write_task_comparison

    names = {path: read_manifest(_config(path)).task for path in paths}
    tasks = sorted(set(names.values()))
    if len(tasks) > 1:
        raise UserError(f"runs of different tasks cannot be compared: these are of {' and '.join(tasks)}")
    if tasks == ["classification"]:
        return write_comparison(list(paths), out)
    if tasks and tasks[0] not in NAMES:
        raise UserError(f"{paths[0]} cannot be compared: {tasks[0]!r} is no task of a single run")
    folders = dict(zip(labels(list(paths)), paths, strict=True))
    return write_task_comparison(compared(tasks[0], folders), folders, out)


def _config(path: Path) -> Path:
    if not RunFolder(path).config.is_file():
        raise UserError(f"{path} is no run folder: it has no config.json")
    return RunFolder(path).config


def _row(name: str, label: str, path: Path) -> dict[str, Any]:
    source = RunFolder(path).result
    if not source.is_file():
        raise UserError(f"{path} cannot be compared: it has no result.json, its run is not finished")
    figures = read_json(source)
    try:
        parameters = figures.get("parameters")
        return {
            "name": label,
            "folder": str(path),
            "headline": headlines(name, figures),
            "lipschitz_bound": figures.get("lipschitz_bound"),
            "parameters": parameters if isinstance(parameters, int) else None,
            "seconds": float(figures["seconds"]["train"]),
        }
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        raise UserError(f"{source} is damaged: {type(error).__name__}: {error}") from error
