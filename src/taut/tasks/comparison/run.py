"""A comparison of activations from its plan to its page: every run in a folder of its own, and none twice."""

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from taut.errors import UsageError
from taut.files import read_json, write_bytes, write_json
from taut.tasks import task
from taut.tasks.comparison.finished import compared
from taut.tasks.comparison.plan import Plan, read_plan
from taut.tasks.comparison.table import print_comparison
from taut.tasks.provenance import provenance
from taut.tasks.running import rehearsal, report
from taut.tasks.tables import fill
from taut.training.interrupt import Interrupted, interruptible
from taut.training.run_folder import RunFolder, check_out, create_run, open_run

TASK = "comparison"
RESULT = "comparison.json"
TABLE = "comparison.md"


def compare(plan: Plan, *, command: Sequence[str], out: Path | None, jobs: int = 1) -> RunFolder:
    """Train every run of `plan`, `jobs` at a time, and write the table, comparison.json and report.html.

    Raises:
        UsageError: What is asked for cannot be; nothing has been written.
        UserError: A run failed; those that are finished stay.
        Interrupted: SIGINT or SIGTERM; the message says how to continue.
    """
    check_out(out)
    _check_jobs(plan, jobs)
    _rehearse(plan)
    folder = create_run(
        f"compare-{plan.recipe}", task=TASK, out=out, command=command, seed=plan.config.seed, config=plan.to_plain()
    )
    print(f"folder: {folder.path}", flush=True)
    return _carry_on(plan, folder, command=command, jobs=jobs)


def resume_comparison(path: Path, *, jobs: int = 1) -> RunFolder:
    """Carry out what is missing of the comparison in the folder `path`; show it where nothing is. Errors as above."""
    folder, manifest = open_run(path)
    if manifest.task != TASK:
        raise UsageError(f"{path} is a run of the task {manifest.task}: continue it with taut train --resume {path}")
    plan = read_plan(manifest.config, str(folder.config))
    _check_jobs(plan, jobs)
    if (folder.path / RESULT).is_file():
        _publish(folder, read_json(folder.path / RESULT))
        return folder
    return _carry_on(plan, folder, command=manifest.command, jobs=jobs)


def _check_jobs(plan: Plan, jobs: int) -> None:
    if jobs < 1:
        raise UsageError(f"jobs must be at least 1, got {jobs}")
    engine = plan.config.engine
    if engine.devices * engine.num_nodes > 1:
        raise UsageError(
            f"a comparison trains each run in one process; --jobs {engine.devices} trains so many at a time"
        )


def _rehearse(plan: Plan) -> None:
    """Every check of every run, before anything is written."""
    which = task(plan.config.task)
    if hasattr(which, "check_comparable"):
        which.check_comparable(plan.config)
    for activation in plan.activations:
        try:
            with rehearsal():
                which.train(plan.config_of(activation), recipe=plan.recipe, command=())
        except UsageError as error:
            raise UsageError(f"with the activation {activation}: {error}") from error


def _carry_on(plan: Plan, folder: RunFolder, *, command: Sequence[str], jobs: int) -> RunFolder:
    paths = {activation: folder.path / "runs" / activation for activation in plan.activations}
    work = [(plan.config_of(activation), path) for activation, path in paths.items()]
    try:
        with interruptible():
            fill(work, name="runs", recipe=plan.recipe, jobs=jobs, command=command)
    except Interrupted as stop:
        stop.hint = f"interrupted; continue with: taut compare --resume {shlex.quote(str(folder.path))}"
        raise
    for path in paths.values():
        if not (path / "report.html").is_file():  # stopped between its result and its page
            report(RunFolder(path))
    content = compared(plan.config.task, paths)
    for row in content["runs"]:
        row["folder"] = str(Path(row["folder"]).relative_to(folder.path))
    seconds = {"train": sum(row["seconds"] for row in content["runs"])}
    result = {
        **content,
        "recipe": plan.recipe,
        "jobs": jobs,
        **provenance(command=command, seed=plan.config.seed, seconds=seconds),
    }
    write_json(folder.path / RESULT, result)
    _publish(folder, result)
    return folder


def _publish(folder: RunFolder, result: dict[str, Any]) -> None:
    from taut.reports import comparison_markdown

    table = folder.path / TABLE
    write_bytes(table, comparison_markdown(result).encode())
    print_comparison(result, written=[folder.path / RESULT, table, report(folder)])
