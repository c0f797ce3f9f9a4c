"""The restoration of a picture from its measurement to its report. Nothing is written before all is computed."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from taut.errors import UserError
from taut.files import write_json, write_tensors
from taut.imaging import Step
from taut.reports.image_files import write_png
from taut.reports.restoration.picture_file import as_picture
from taut.tasks.restoration.config import Config
from taut.tasks.restoration.denoisers import Chosen, at_strength, read_denoisers, usual_noise
from taut.tasks.restoration.iteration import check, restore, step_size
from taut.tasks.restoration.outcome import Outcome, result
from taut.tasks.restoration.problem import Problem, read_problem
from taut.tasks.restoration.table import print_result
from taut.tasks.running import finished_result, report
from taut.training.engine import pick_device
from taut.training.interrupt import Interrupted, Interruption, interruptible
from taut.training.progress import progress
from taut.training.run_folder import RunFolder, check_out, create_run
from taut.training.serialise import to_plain


def train(
    config: Config, *, recipe: str, command: Sequence[str], out: Path | None = None, resume: RunFolder | None = None
) -> None:
    """Restore the picture, compare it with the truth where that is known, write and print.

    Raises:
        UsageError: What is asked for cannot be; nothing has been written.
        UserError: A file that cannot be read, or no theorem about the iteration; nothing has been written.
        Interrupted: SIGINT or SIGTERM; nothing has been written.
    """
    check_out(out)
    device = pick_device(config.accelerator)
    with interruptible() as interruption, torch.no_grad():
        started = time.monotonic()
        chosen, other, problem = _prepare(config)
        check(config.algorithm, problem, chosen, refuse=config.algorithm.check == "refuse")
        if other is not None:
            check(config.algorithm, problem, other, refuse=False)
        prepared, started = time.monotonic() - started, time.monotonic()
        denoiser = _restored(config, problem, chosen, device)
        beside = None if other is None else _restored(config, problem, other, device)
        figures = result(
            config,
            problem,
            denoiser,
            beside,
            recipe=recipe,
            command=command,
            seconds={"prepare": prepared, "restore": time.monotonic() - started},
        )
        with interruption.deferred():  # the few files are written together
            folder = resume or create_run(
                recipe, task=config.task, out=out, command=command, seed=config.seed, config=to_plain(config)
            )
            pictures = _write(folder, problem, denoiser, beside)
            write_json(folder.result, figures)
        _stop_if_asked(interruption, folder)
        print_result(figures, written=[*pictures, folder.result, report(folder)])


def _prepare(config: Config) -> tuple[Chosen, Chosen | None, Problem]:
    """Denoisers and problem, both read; and the strength that suits the problem."""
    first, second = read_denoisers(config.denoiser)
    expected = usual_noise(first, config.operator.operator)
    problem = read_problem(config, usual_noise=expected)
    step = step_size(config.algorithm, problem)
    noise = expected / 255 if problem.sigma_noise is None else problem.sigma_noise
    first, second = (
        one if one is None else at_strength(one, config.denoiser, noise=noise, step=step) for one in (first, second)
    )
    assert first is not None
    return first, second, problem


def _restored(config: Config, problem: Problem, chosen: Chosen, device: torch.device) -> Outcome:
    with progress(chosen.name, config.algorithm.steps) as reporter:

        def on_step(step: Step) -> None:
            said = f"step {step.iteration}, residual {step.residual:.3g}"
            said += "" if step.psnr is None else f", {step.psnr:.2f} dB"
            reporter.advance(step.iteration)
            reporter.note(said)
            reporter.line(said)

        found = restore(config.algorithm, problem, chosen, device=device, on_step=on_step)
    outcome = Outcome(chosen=chosen, found=found)
    if outcome.steps == 0:
        raise UserError(f"the first iteration with {chosen.name} gives no finite numbers: choose a smaller --step-size")
    return outcome


def _write(folder: RunFolder, problem: Problem, denoiser: Outcome, beside: Outcome | None) -> list[Path]:
    """Pictures and rows; returns the files that a user wants to see."""
    image = problem.image
    kind = {"bits": image.bits, "alpha": image.alpha}
    restored = folder.path / "restored.png"
    if problem.truth is not None:
        write_png(folder.path / "original.png", as_picture(problem.truth, **kind))
    write_png(folder.path / "measurement.png", as_picture(problem.shown))
    made, rows = {restored: denoiser}, denoiser.tensors("denoiser")
    if beside is not None:
        made[folder.path / "beside.png"] = beside
        rows |= beside.tensors("beside")
    for path, outcome in made.items():
        if bool(torch.isfinite(outcome.found.image).all()):
            write_png(path, as_picture(outcome.found.image, **_enlarged(kind, problem)))
    write_tensors(folder.evaluation, rows)
    return [restored] if restored.is_file() else []


def _enlarged(kind: dict[str, Any], problem: Problem) -> dict[str, Any]:
    """Opacity of the size of what was restored: of a small picture that was measured, each pixel repeated."""
    alpha = problem.image.alpha
    if alpha is None or alpha.shape == problem.start.shape[1:]:
        return kind
    factor = problem.start.shape[1] // alpha.shape[0]
    return kind | {"alpha": alpha.repeat_interleave(factor, 0).repeat_interleave(factor, 1)}


def _stop_if_asked(interruption: Interruption, folder: RunFolder) -> None:
    if interruption.signal_number:
        stop = Interrupted(interruption.signal_number)
        stop.hint = f"interrupted; the result is complete, and its page is written by: taut report {folder.path}"
        raise stop


def show_finished(folder: RunFolder) -> bool:
    """Print the table of a restoration that is already finished; False when it is not."""
    if not folder.result.is_file():
        return False
    with finished_result(folder) as figures:
        print_result(figures, note=" (finished before)")
    return True
