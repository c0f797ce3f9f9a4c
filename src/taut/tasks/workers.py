"""Runs side by side, each in a process of its own; they stop when the whole is stopped, and go on when it goes on."""

import contextlib
import multiprocessing
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from taut.errors import UserError
from taut.tasks import task
from taut.training.run_folder import RunFolder

_POLL_SECONDS = 0.1


def run_all(
    work: Sequence[tuple[Any, Path]], *, recipe: str, jobs: int, command: Sequence[str], done: Callable[[int], None]
) -> None:
    """Carry out each run of `work`, a config and its folder, that is not finished, `jobs` at a time, one here;
    `done(n)` after each. What a run prints is in a file beside its folder.

    Raises:
        UserError: A run failed; the sentence names the file that says why.
    """
    waiting = [(config, path) for config, path in work if not RunFolder(path).result.is_file()]
    finished = len(work) - len(waiting)
    done(finished)
    if jobs == 1:
        for config, path in waiting:
            _train(config, path, recipe, command)
            finished += 1
            done(finished)
        return
    running: dict[BaseProcess, Path] = {}
    context = multiprocessing.get_context("spawn")
    try:
        while waiting or running:
            while waiting and len(running) < jobs:
                config, path = waiting.pop(0)
                process = context.Process(target=_run, args=(config, path, recipe, list(command)))
                process.start()
                running[process] = path
            time.sleep(_POLL_SECONDS)
            for process in [each for each in running if not each.is_alive()]:
                path = running.pop(process)
                if not RunFolder(path).result.is_file():
                    raise UserError(f"{path.name} failed; {_log(path)} says why")
                finished += 1
                done(finished)
    finally:
        for process in running:
            process.terminate()
        for process in running:
            process.join()


def _log(path: Path) -> Path:
    return path.with_name(f"{path.name}.log")


def _run(config: Any, path: Path, recipe: str, command: list[str]) -> None:
    """In a process of its own."""
    try:
        _train(config, path, recipe, command)
    except UserError as error:
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception:
        sys.exit(1)


def _train(config: Any, path: Path, recipe: str, command: Sequence[str]) -> None:
    """One run, from its beginning or from its last checkpoint; what it says is written into a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    begun = RunFolder(path) if RunFolder(path).config.is_file() else None
    with _log(path).open("a", encoding="utf-8") as log, contextlib.redirect_stdout(log):
        try:
            out = None if begun else path
            task(config.task).train(config, recipe=recipe, command=command, out=out, resume=begun)
        except UserError as error:
            print(f"taut: {error}")
            raise
        except Exception:  # an error of ours: the file says where
            traceback.print_exc(file=log)
            raise
