"""What tables made of many runs share: their course from the checks to the page, and the runs in their cells."""

import shlex
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from taut.tasks.running import finished_result
from taut.tasks.workers import run_all
from taut.training.engine import launch
from taut.training.interrupt import Interrupted, interruptible
from taut.training.progress import progress
from taut.training.run_folder import RunFolder, check_out, create_run
from taut.training.serialise import to_plain

PreparedT = TypeVar("PreparedT")


def carry_out_table(
    config: Any,
    *,
    recipe: str,
    command: Sequence[str],
    out: Path | None,
    resume: RunFolder | None,
    prepare: Callable[[], PreparedT],
    make: Callable[[RunFolder, PreparedT], None],
) -> None:
    """`prepare`, which finds all that can be found wrong before the folder exists; create that (or take `resume`), and
    `make` the table in it.

    `config` is that of a table: it has `task`, `seed` and `engine`.

    Raises:
        UsageError: What is asked for cannot be; nothing has been written.
        UserError: What `prepare` or `make` raise.
        Interrupted: SIGINT or SIGTERM; the message says how to continue.
    """
    check_out(out)
    with interruptible():
        launch(config.engine)
        prepared = prepare()
        folder = resume or create_run(
            recipe, task=config.task, out=out, command=command, seed=config.seed, config=to_plain(config)
        )
        print(f"run folder: {folder.path}", flush=True)
        try:
            make(folder, prepared)
        except Interrupted as stop:
            stop.hint = f"interrupted; continue with: taut reproduce --resume {shlex.quote(str(folder.path))}"
            raise


def fill(work: Sequence[tuple[Any, Path]], *, name: str, recipe: str, jobs: int, command: Sequence[str]) -> None:
    """Carry out each run of `work` that is not finished, as `run_all` does, with a bar called `name`."""
    with progress(name, len(work)) as reporter:

        def done(count: int) -> None:
            reporter.advance(count)
            reporter.line(f"{count} of {len(work)} done")

        run_all(work, recipe=recipe, jobs=jobs, command=command, done=done)


def show_finished_table(folder: RunFolder, publish: Callable[[RunFolder, dict[str, Any]], None]) -> bool:
    """`publish` the result of a table that is already finished; False when it is not. UserError where it is damaged."""
    if not folder.result.is_file():
        return False
    with finished_result(folder) as result:
        publish(folder, result)
    return True
