"""The table: the time of an update with each layer, a run of the same time for each, and what all of them reached."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from taut.data import Dataset
from taut.errors import UsageError
from taut.files import write_json
from taut.tasks.cifar10_table.config import Config
from taut.tasks.cifar10_table.plan import Plan, Row, cell_config, planned
from taut.tasks.cifar10_table.published import published
from taut.tasks.cifar10_table.table import print_table
from taut.tasks.classification import Config as CellConfig
from taut.tasks.classification.job import check_network
from taut.tasks.classification.parts import build_model, check_fit
from taut.tasks.classification.subset import chosen
from taut.tasks.provenance import provenance
from taut.tasks.running import finished_result, report
from taut.tasks.tables import carry_out_table, fill, show_finished_table
from taut.training.run_folder import RunFolder
from taut.training.sampling import check_batches

_PLAN = "plan.json"
_CELLS = "cifar10-convnet"
"""The recipe that the cells say they are of."""


def train(
    config: Config, *, recipe: str, command: Sequence[str], out: Path | None = None, resume: RunFolder | None = None
) -> None:
    """Make the table, or what of it is missing in `resume`; write result.json and report.html, and print it.

    Raises:
        UsageError: What is asked for cannot be; nothing has been written.
        UserError: Data missing or damaged, a run of the table failed.
        Interrupted: SIGINT or SIGTERM; the message says how to continue.
    """
    carry_out_table(
        config,
        recipe=recipe,
        command=command,
        out=out,
        resume=resume,
        prepare=lambda: _prepare(config),
        make=lambda folder, dataset: _make(config, folder, dataset, recipe=recipe, command=command),
    )


def _prepare(config: Config) -> Dataset:
    """The data, after everything that can be found wrong before the folder exists."""
    dataset = chosen(config.data).dataset
    check_fit(config.data, dataset.problem)
    check_batches(len(dataset.train), config.data.batch_size, 1)
    for convolution in config.layers.convolutions:
        cell = cell_config(config, convolution)
        try:
            check_network(cell, build_model(cell.model, dataset.problem), dataset.problem)
        except UsageError as error:
            raise UsageError(f"with the convolution {convolution}: {error}") from error
    return dataset


def _make(config: Config, folder: RunFolder, dataset: Dataset, *, recipe: str, command: Sequence[str]) -> None:
    plan = planned(config, dataset, lambda cell: build_model(cell.model, dataset.problem), folder.path / _PLAN)
    samples = len(dataset.train)
    work = [(_config(config, row), row.folder(folder.path)) for row in plan.rows]
    fill(work, name="layers", recipe=_CELLS, jobs=1, command=command)
    for _, path in work:
        if not (path / "report.html").is_file():  # stopped between its result and its page
            report(RunFolder(path))
    write_json(folder.result, _result(config, folder, plan, samples=samples, recipe=recipe, command=command))
    show_finished_table(folder, _publish)


def _config(config: Config, row: Row) -> CellConfig:
    return cell_config(config, row.convolution, epochs=row.epochs, per_class=row.per_class)


def _result(
    config: Config, folder: RunFolder, plan: Plan, *, samples: int, recipe: str, command: Sequence[str]
) -> dict[str, Any]:
    rows, attacked, held_out = [], 0, 0
    for row in plan.rows:
        cell = RunFolder(row.folder(folder.path))
        with finished_result(cell) as figures:
            step, seconds = _trained(cell)
            held_out, attacked = int(figures["samples"]), int(figures["attack"].get("samples", 0))
            rows.append(
                {
                    "convolution": row.convolution,
                    "folder": str(cell.path.relative_to(folder.path)),
                    "updates": step,
                    "epochs": step * config.data.batch_size / samples,
                    "seconds": seconds,
                    "update_seconds": row.update_seconds,
                    "parameters": row.parameters,
                    **{name: figures[name] for name in ("accuracy", "certified", "attacked", "lipschitz_bound")},
                    "published": published(config.data.dataset, row.convolution),
                }
            )
    return {
        "task": config.task,
        "recipe": recipe,
        "budget": config.budget,
        "dataset": config.data.dataset,
        "architecture": config.model.architecture,
        "minutes": config.layers.minutes,
        "radii": sorted(config.evaluation.radii),
        "norm": config.evaluation.norm,
        "samples": held_out,
        "attacked_samples": attacked,
        "rows": rows,
        **provenance(command=command, seed=config.seed, seconds={"train": sum(row["seconds"] for row in rows)}),
    }


def _trained(cell: RunFolder) -> tuple[int, float]:
    """Updates of a finished cell, and the seconds that they took, without the look at held-out pictures after them."""
    from taut.reports.folder.metrics import read_metrics

    last = read_metrics(cell.metrics).train[-1]
    return int(last.step), last.fields.number("seconds")


def _publish(folder: RunFolder, result: dict[str, Any]) -> None:
    print_table(result, written=[folder.result, report(folder)])


def show_finished(folder: RunFolder) -> bool:
    """Print the table of a run that is already finished; False when it is not."""
    return show_finished_table(folder, _publish)
