"""The course of every run: checks, seed, folder, training on all processes, conclusion on the first."""

import shlex
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from lightning_fabric import Fabric

from taut.errors import UserError
from taut.files import read_json
from taut.training.checkpoint import Checkpoint, load_checkpoint
from taut.training.engine import finish, launch, on_first, together
from taut.training.interrupt import Interrupted, Interruption, interruptible
from taut.training.run_folder import RunFolder, check_out, create_run
from taut.training.seeding import seed_everything
from taut.training.serialise import to_plain

PreparedT = TypeVar("PreparedT")
TrainedT = TypeVar("TrainedT")

_REHEARSING: ContextVar[bool] = ContextVar("rehearsing", default=False)


@dataclass(frozen=True, kw_only=True)
class Session:
    """What training and conclusion of one run share."""

    fabric: Fabric
    folder: RunFolder
    interruption: Interruption
    recipe: str
    command: Sequence[str]

    def checkpoint(self) -> Checkpoint | None:
        """Where an interrupted run goes on, on every process; None at the start."""
        return on_first(self.fabric, lambda: load_checkpoint(self.folder.checkpoints))


def carry_out(
    config: Any,
    *,
    recipe: str,
    command: Sequence[str],
    out: Path | None,
    resume: RunFolder | None,
    prepare: Callable[[Fabric], PreparedT],
    fit: Callable[[PreparedT, Session], TrainedT],
    conclude: Callable[[PreparedT, TrainedT, Session], None],
) -> None:
    """Run `prepare` (data, networks and every check: nothing has been written yet), `fit`, and on the first process
    `conclude`; the folder is created before `fit`, or is that of `resume`.

    `config` is that of a task: it has `task`, `seed` and `engine`.

    Raises:
        UsageError: What is asked for cannot be; nothing has been written.
        UserError: What `prepare`, `fit` or `conclude` raise.
        Interrupted: SIGINT or SIGTERM; the message says how to continue.
    """
    check_out(out)
    with interruptible() as interruption:
        fabric = launch(config.engine)
        seed_everything(config.seed)
        prepared = together(fabric, lambda: prepare(fabric))
        if _REHEARSING.get():
            return
        folder = resume or on_first(
            fabric,
            lambda: create_run(
                recipe, task=config.task, out=out, command=command, seed=config.seed, config=to_plain(config)
            ),
        )
        if fabric.global_rank == 0:
            print(f"run folder: {folder.path}", flush=True)
        session = Session(fabric=fabric, folder=folder, interruption=interruption, recipe=recipe, command=command)
        with _how_to_continue(session):
            trained = fit(prepared, session)
            finish(fabric)
            if fabric.global_rank == 0:
                conclude(prepared, trained, session)


@contextmanager
def rehearsal() -> Iterator[None]:
    """Within, `carry_out` makes every check of a run, and stops where it would create its folder."""
    token = _REHEARSING.set(True)
    try:
        yield
    finally:
        _REHEARSING.reset(token)


def report(folder: RunFolder) -> Path:
    """Write report.html of a finished run. The plotting libraries are only loaded here."""
    from taut.reports import write_report

    return write_report(folder.path)


@contextmanager
def finished_result(folder: RunFolder) -> Iterator[dict[str, Any]]:
    """What is in result.json; a `UserError` naming it where it cannot be read, or the block does not find what it
    needs in it."""
    figures = read_json(folder.result)
    try:
        yield figures
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise UserError(f"{folder.result} is damaged: {type(error).__name__}: {error}") from error


@contextmanager
def _how_to_continue(session: Session) -> Iterator[None]:
    """Tell the user of an interrupted run how to go on; of several processes only the first speaks."""
    try:
        yield
    except Interrupted as stop:
        if session.fabric.global_rank != 0:
            raise SystemExit(0) from None
        stop.hint = f"interrupted; continue with: taut train --resume {shlex.quote(str(session.folder.path))}"
        raise
