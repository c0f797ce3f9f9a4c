"""`metrics.jsonl`: the course of the training, one JSON object a line."""

import json
import math
from dataclasses import dataclass
from pathlib import Path

from taut.errors import UserError
from taut.reports.folder.fields import Fields


@dataclass(frozen=True, kw_only=True)
class Point:
    """One line of the log."""

    step: float
    """Optimiser steps taken so far."""
    epoch: float
    """The epoch as it was logged."""
    fields: Fields
    """All that the line says."""

    def value(self, name: str) -> float:
        """What the line says of `name`; NaN, which no curve draws, where it says nothing."""
        value = self.fields.optional_number(name)
        return math.nan if value is None else value


@dataclass(frozen=True, kw_only=True)
class Metrics:
    """The log, training batches and held-out split apart, each in order of the step."""

    train: list[Point]
    valid: list[Point]

    @property
    def empty(self) -> bool:
        """Whether there is nothing to draw."""
        return not (self.train or self.valid)

    @property
    def steps_per_epoch(self) -> float | None:
        """Steps in one epoch, or None where no epoch was finished: the held-out split is looked at when one ends."""
        last = self.valid[-1] if self.valid else None
        return last.step / last.epoch if last and last.step > 0 and last.epoch > 0 else None

    def series(self, kind: str, name: str) -> tuple[list[float], list[float]]:
        """Epochs and values of `name` at the lines of a kind ("train" or "valid") that say it; the rest is left out."""
        points = [
            point for point in (self.train if kind == "train" else self.valid) if not math.isnan(point.value(name))
        ]
        return self.epochs(points), [point.value(name) for point in points]

    def epochs(self, points: list[Point]) -> list[float]:
        """Place of each point on an axis of epochs completed."""
        per_epoch = self.steps_per_epoch
        return [point.step / per_epoch if per_epoch else point.epoch for point in points]


def read_metrics(path: Path, *, required: tuple[str, ...] = ("loss",)) -> Metrics:
    """Read and check `metrics.jsonl`; each line has a step, its kind and the `required` numbers.

    A last line without an end is left out: the run may still be writing it.
    """
    try:
        content = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"cannot read {path}: {error}") from error
    lines = content.split("\n")[:-1]
    kinds: dict[str, list[Point]] = {"train": [], "valid": []}
    for number, line in enumerate(lines, start=1):
        kind, point = _read_line(line, number, path, required)
        kinds.setdefault(kind, []).append(point)
    return Metrics(
        train=sorted(kinds["train"], key=lambda point: point.step),
        valid=sorted(kinds["valid"], key=lambda point: point.step),
    )


def _read_line(line: str, number: int, path: Path, required: tuple[str, ...]) -> tuple[str, Point]:
    try:
        values = json.loads(line)
    except ValueError as error:
        raise UserError(f"{path} is damaged: line {number} is not JSON ({error})") from error
    if not isinstance(values, dict):
        raise UserError(f"{path} is damaged: line {number} must hold a JSON object")
    fields = Fields(values, path)
    for name in required:
        fields.number(name)
    point = Point(step=fields.number("step"), epoch=fields.optional_number("epoch") or 0.0, fields=fields)
    return fields.text("kind"), point
