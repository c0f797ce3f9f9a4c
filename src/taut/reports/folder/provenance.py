"""Where a result comes from: the command, the seed, the versions and the time, as result.json tells them."""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from taut.reports.folder.fields import Fields
from taut.reports.folder.run_folder import RunFolder
from taut.reports.page.numbers import duration


@dataclass(frozen=True, kw_only=True)
class Provenance:
    """What a result says of its making. A part that it does not know is None or empty."""

    command: list[str]
    seed: int | None
    commit: str | None
    versions: dict[str, str]
    machine: str | None
    seconds: dict[str, float]
    """By the step of the run."""


def read_provenance(fields: Fields) -> Provenance:
    """The fields that the results of all tasks share."""
    seconds = fields.inner("seconds")
    return Provenance(
        command=[str(word) for word in fields.sequence("command")],
        seed=fields.optional_count("seed"),
        commit=fields.optional_text("commit"),
        versions={name: str(version) for name, version in fields.mapping("versions").items()},
        machine=fields.optional_text("machine"),
        seconds={step: seconds.number(step) for step in seconds.values},
    )


def reproduce_command(folder: RunFolder, provenance: Provenance | None) -> str:
    """The command that made the run, ready to paste into a shell; empty where the run does not know it."""
    words = [str(word) for word in Fields(folder.config, folder.path / "config.json").sequence("command")]
    if provenance and provenance.command:
        words = provenance.command
    if words and Path(words[0]).is_absolute():
        words = [Path(words[0]).name, *words[1:]]
    return shlex.join(words)


def facts(folder: RunFolder, provenance: Provenance | None, counts: Mapping[str, str]) -> dict[str, str]:
    """What the run was made of and with, `counts` of the task among it; what it does not know is left out."""
    known: dict[str, Any] = {
        "recipe": folder.recipe,
        "seed": folder.config.get("seed"),
        "taut": folder.config.get("taut"),
    }
    if provenance:
        known |= {"seed": provenance.seed, "commit": provenance.commit}
        known |= {**provenance.versions, "machine": provenance.machine}
        known |= counts
        known |= {f"time to {step}": duration(seconds) for step, seconds in provenance.seconds.items()}
    return {name: str(value) for name, value in known.items() if value is not None}
