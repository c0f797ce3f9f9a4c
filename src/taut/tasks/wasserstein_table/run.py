"""The table: a generator once, its pictures once, a critic for each cell and seed, exact transport once."""

import statistics
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from taut import data
from taut.errors import UsageError, UserError
from taut.files import read_json, write_bytes, write_json
from taut.tasks import gan
from taut.tasks.gan import load_generator
from taut.tasks.provenance import provenance
from taut.tasks.running import report
from taut.tasks.tables import carry_out_table, fill, show_finished_table
from taut.tasks.wasserstein.problem import read_problem
from taut.tasks.wasserstein_table.cells import LINEARS, PUBLISHED, Cell, cell_config, cells
from taut.tasks.wasserstein_table.config import Config
from taut.training.optimizers import OptimizerConfig
from taut.training.run_folder import RunFolder
from taut.training.seeding import stream
from taut.training.serialise import to_plain
from taut.transport import ExactTransport, exact_transport

_ENTRIES = 2**22
"""Numbers of a batch while pictures are drawn."""


def train(
    config: Config, *, recipe: str, command: Sequence[str], out: Path | None = None, resume: RunFolder | None = None
) -> None:
    """Make the table, or what of it is missing in `resume`; write table.md, result.json and report.html, and print it.

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
        prepare=lambda: _check(config),
        make=lambda folder, _: _make(config, folder, recipe=recipe, command=command),
    )


def _check(config: Config) -> None:
    """Everything that can be found wrong before the folder exists."""
    if config.engine.devices * config.engine.num_nodes > 1:
        raise UsageError(f"a table runs on one device; --jobs {config.engine.devices} trains so many critics at a time")
    source = config.generator
    problem = data.problem(source.dataset, source.data_root)
    data.load(source.dataset, source.data_root)
    _exact(torch.zeros(2, 2), torch.zeros(2, 2))  # every cell is compared with it: POT missing is said at once
    if source.generator is not None:
        shape = load_generator(source.generator).shape
        if shape != problem.shape:
            raise UsageError(
                f"{source.generator} makes pictures of shape {shape}, {source.dataset} has {problem.shape}"
            )
    if config.critics.batch_size > source.generated // 2:
        raise UsageError(
            f"batch-size {config.critics.batch_size} is larger than half of the {source.generated} generated pictures"
        )


def _make(config: Config, folder: RunFolder, *, recipe: str, command: Sequence[str]) -> None:
    seconds: dict[str, float] = {}
    started = time.monotonic()
    run = _generator(config, folder, command)
    generated = _pictures(config, folder, run)
    seconds["generator"] = time.monotonic() - started

    started = time.monotonic()
    every = cells(config)
    work = [(cell_config(cell, config, generated), cell.folder(folder.path)) for cell in every]
    fill(work, name="critics", recipe="wasserstein", jobs=config.jobs, command=command)
    seconds["critics"] = time.monotonic() - started

    started = time.monotonic()
    transport = _transport(config, folder, generated)
    seconds["transport"] = time.monotonic() - started
    result = {
        "task": config.task,
        "recipe": recipe,
        "budget": config.budget,
        "dataset": config.generator.dataset,
        "generator": {**to_plain(config.generator), "run": run.name},
        "critics": asdict(config.critics),
        "transport": transport,
        "cells": _rows(folder, every, transport["value"]),
        **provenance(command=command, seed=config.seed, seconds=seconds),
    }
    write_json(folder.result, result)
    _publish(folder, result)


def _generator(config: Config, folder: RunFolder, command: Sequence[str]) -> Path:
    """The GAN run whose generator is taken: the user's, or one inside the table's folder, trained where it is not
    finished."""
    source = config.generator
    if source.generator is not None:
        return source.generator
    inside = RunFolder(folder.path / "generator")
    if inside.result.is_file():
        return inside.path
    begun, width = inside.config.is_file(), source.generator_width
    gan.train(
        gan.Config(
            seed=config.seed,
            data=gan.DataConfig(dataset=source.dataset, data_root=source.data_root),
            gan=gan.GanConfig(gan_type=source.gan_type, generator_width=width, discriminator_width=width),
            optimizer=OptimizerConfig(
                epochs=source.generator_epochs, lr=2e-4, betas=(0.5, 0.999), schedule="constant", warmup=0.0, ema=0.999
            ),
            engine=config.engine,
            evaluation=gan.EvaluationConfig(samples=0),
        ),
        recipe="gan",
        command=command,
        out=None if begun else inside.path,
        resume=inside if begun else None,
    )
    return inside.path


def _pictures(config: Config, folder: RunFolder, run: Path) -> Path:
    """The file with the generator's pictures, which all critics share."""
    path = folder.path / "generated.npy"
    if not path.is_file():
        source = load_generator(run)
        most = max(1, _ENTRIES // int(np.prod(source.shape)))
        counts = [min(most, config.generator.generated - start) for start in range(0, config.generator.generated, most)]
        random = stream(config.seed, "generated")
        whole = np.concatenate([source.sample(count, random).numpy() for count in counts])
        temporary = path.with_name(".generated.tmp.npy")
        np.save(temporary, whole)
        temporary.replace(path)
    return path


def _transport(config: Config, folder: RunFolder, generated: Path) -> dict[str, Any]:
    """Exact transport between the held-out pictures that every critic is measured on."""
    path = folder.path / "transport.json"
    if not path.is_file():
        problem = read_problem(cell_config(cells(config)[0], config, generated))
        found = _exact(*problem.held_out)
        samples = min(map(len, problem.held_out))
        write_json(path, {"value": found.value, "standard_error": found.standard_error, "samples": samples})
    return read_json(path)


def _exact(x: Tensor, y: Tensor) -> ExactTransport:
    try:
        return exact_transport(x, y)
    except (ImportError, RuntimeError, ValueError) as error:
        raise UserError(str(error)) from error


def _rows(folder: RunFolder, every: Sequence[Cell], transport: float) -> list[dict[str, Any]]:
    rows = []
    for linear in LINEARS:
        for row in dict.fromkeys(cell.row for cell in every):
            runs = [cell.folder(folder.path) for cell in every if (cell.row, cell.linear) == (row, linear)]
            results = [read_json(RunFolder(path).result) for path in runs]
            values = [float(result["estimate"]) for result in results]
            mnist, cifar10 = PUBLISHED.get((row, linear), (None, None))
            rows.append(
                {
                    "activation": row,
                    "linear": linear,
                    "values": values,
                    "fractions": [value / transport for value in values],
                    "mean": statistics.fmean(values),
                    "spread": statistics.stdev(values) if len(values) > 1 else 0.0,
                    "gradient_norm": statistics.fmean(result["gradient_norm"]["mean"] for result in results),
                    "lipschitz_bounds": [result["lipschitz_bound"] for result in results],
                    "seconds": sum(result["seconds"]["train"] for result in results),
                    "published": {"mnist": mnist, "cifar10": cifar10},
                }
            )
    return rows


def _publish(folder: RunFolder, result: dict[str, Any]) -> None:
    from taut.reports import markdown_table

    text = markdown_table(result)
    table = folder.path / "table.md"
    write_bytes(table, text.encode())
    print(text)
    for path in (folder.result, table, report(folder)):
        print(f"wrote {path}")


def show_finished(folder: RunFolder) -> bool:
    """Print the table of a run that is already finished; False when it is not."""
    return show_finished_table(folder, _publish)
