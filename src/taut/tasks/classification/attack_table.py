"""What `taut attack` prints."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from taut.tasks.classification.table import accuracy_table


def print_attack(
    figures: Mapping[str, Any], *, title: str, written: Sequence[Path] = (), console: Console | None = None
) -> None:
    """The table of certified and attacked accuracy, the distances where the attack makes them small, and the files."""
    console = console or Console()
    attack = figures["attack"]
    lines = [f"attack: {_words(attack)}, {figures['norm']}, seed {attack['seed']}"]
    if attack["certified"]:
        lines.append(f"certified: {attack['proof']}")
    if attack["samples"] < figures["samples"]:
        lines.append(f"attacked: the first {attack['samples']} of {figures['samples']} samples")
    if attack["success_rate"] is not None:
        within = "" if attack["distances"] else " within the largest radius"
        lines.append(f"changed: {100 * attack['success_rate']:.2f} % of the correctly classified samples{within}")
    if attack["distances"]:
        lines.append(_distances(attack["distances"]))
    console.print(title, style="bold", highlight=False, soft_wrap=True)
    console.print(accuracy_table(figures))
    for line in [*lines, *(f"wrote {path}" for path in written)]:
        console.print(line, highlight=False, soft_wrap=True, markup=False)


def _words(attack: Mapping[str, Any]) -> str:
    chosen = [f"{attack[name]} {name}" for name in ("steps", "restarts") if attack[name] is not None]
    return ", ".join([attack["method"], *chosen, *([f"loss {attack['loss']}"] if attack["loss"] else [])])


def _distances(found: Mapping[str, Any]) -> str:
    quartiles = ", ".join("infinity" if value is None else f"{value:.4g}" for value in found["quartiles"])
    mean = "none" if found["mean"] is None else f"{found['mean']:.4g}"
    return (
        f"distance to the nearest misclassified point found: mean {mean} over {found['changed']} of "
        f"{found['correct']} correctly classified samples, quartiles {quartiles}"
    )
