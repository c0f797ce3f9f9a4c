"""The data of an exported network, and how it was trained: sections of the card."""

import shlex
from collections.abc import Mapping
from typing import Any

from taut.data import Problem
from taut.tasks.classification.config import Config
from taut.tasks.classification.exporting.card_text import plain, table
from taut.tasks.classification.exporting.data_facts import DataFacts
from taut.tasks.classification.streamed import is_streamed


def data_section(facts: DataFacts, config: Config, problem: Problem, figures: Mapping[str, Any]) -> str:
    """Name, sizes and fingerprints of both splits, and what was measured on which."""
    rows = [
        ["training", _count(facts.train_samples, facts.train_samples_of), _hash(facts.train_sha256), "fitted to"],
        ["held out", _count(facts.held_out_samples, None), _hash(facts.held_out_sha256), _measured(facts, figures)],
    ]
    missing = ""
    if facts.train_samples is None:
        missing = "\n\nThe data were not at hand when this card was written, so that it does not know their sizes."
    return f"""## Data

{plain(facts.name)}, as taut reads it{_read_as(config, problem)}.

{table(["split", "samples", "SHA-256", "used for"], rows)}

The SHA-256 is that of {facts.of}: equal exactly where that is equal.{missing}{_chosen(config)}"""


def training_section(config: Config, figures: Mapping[str, Any]) -> str:
    """Command, seed, versions, machine."""
    versions = ", ".join(f"{name} {version}" for name, version in figures["versions"].items())
    seconds = ", ".join(f"{name.replace('_', ' ')} {value:,.0f} s" for name, value in figures["seconds"].items())
    rows = {
        "recipe": plain(str(figures["recipe"])),
        "seed": str(config.seed),
        "loss": config.loss.loss,
        "epochs": f"{config.optimizer.epochs:g} of batches of {config.data.batch_size}",
        "versions": versions,
        "commit of taut": figures["commit"] or "none, an installed version",
        "machine": plain(str(figures["machine"])),
        "time": seconds,
    }
    start = figures.get("start")
    if start:
        rows["started from"] = f"the weights of another run, {plain(start['run'])}"
    return f"""## Training

```
{shlex.join(map(str, figures["command"]))}
```

{table(["", ""], [[name, value] for name, value in rows.items()])}

All settings are in `training.json`."""


def _measured(facts: DataFacts, figures: Mapping[str, Any]) -> str:
    count, attacked = figures["samples"], (figures.get("attack") or {}).get("samples", 0)
    most = f"{count:,} of them" if facts.held_out_samples not in (None, count) else f"all {count:,}"
    words = f"accuracy{' and certificates' if figures['certified'] else ''} on {most}"
    if attacked:
        words += f"; attacks on {'all' if attacked == count else 'the first'} {attacked:,}"
    return words + "; watching the training"


def _read_as(config: Config, problem: Problem) -> str:
    if not is_streamed(config):
        return ": entries of the inputs divided by the largest that the data set allows, so that they lie in [0, 1]"
    side = problem.shape[-1]
    grey = "grey " if config.stream.grey else ""
    share = "the middle 87.5 % of the shorter side" if config.stream.augmentation.startswith("crop") else "the middle"
    return (
        f": {grey}pictures of any size, of which held-out ones are cut to a square, {share}, and resized to {side} x "
        f"{side} pixels, divided by 255"
    )


def _chosen(config: Config) -> str:
    if config.data.per_class:
        return f"\n\nOf the training split only {config.data.per_class} samples of each class were used."
    return "\n\nOf the training split only the samples of an index file were used." if config.data.index_file else ""


def _count(count: int | None, of: int | None) -> str:
    if count is None:
        return "not known"
    return f"{count:,}" if of in (None, count) else f"{count:,} of {of:,}"


def _hash(digest: str | None) -> str:
    return "not known" if digest is None else f"`{digest}`"
