"""Attack certificates by rounding errors: how many attempts were made, and how many claims of taut or naive ones broke.

python benchmarks/break_certificates.py [--linear 200] [--networks 40] [--out benchmarks/records]

A naive claim is margin / (L sqrt(2)) computed in the arithmetic that it is about, L being the true constant near the
sample: what one writes who does not think of rounding. Every point that counts is in the ball by exact distance.
"""

import argparse
import datetime
import platform
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import torch

import taut
from taut.attacks import rounding_attack
from taut.attacks.execution import FORMATS
from taut.certify import robustness

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
from tiny_margins import BODIES, naive_radius, undecided  # pyright: ignore[reportMissingImports]

MARGINS = {
    "float64": (-16.0, -9.0),
    "float32-accumulate64": (-8.0, -3.0),
    "float32": (-7.5, -3.0),
    "tf32": (-4.5, -1.0),
    "bfloat16": (-3.5, 0.5),
}
"""Powers of ten: margins relative to the logits, from below the rounding error to above what is certified of it."""


@dataclass
class Tally:
    """Of one network, arithmetic and norm."""

    claims: int = 0
    attempts: int = 0
    broken: int = 0

    def add(self, claims: int, attempts: int, broken: int) -> None:
        self.claims += claims
        self.attempts += attempts
        self.broken += broken

    @property
    def text(self) -> str:
        return f"{self.claims} | {self.attempts} | {self.broken}"


def attacked(name: str, arithmetic: str, norm: str, count: int) -> tuple[Tally, Tally]:
    """The naive claims and those of taut, for `count` networks with one sample each."""
    low, high = MARGINS[arithmetic]
    points = FORMATS[arithmetic].points
    stored = torch.float32 if points == torch.bfloat16 else points
    first, naive, proven = torch.tensor([0]), Tally(), Tally()
    for seed in range(count):
        model, x = undecided(name, 10.0 ** (low + (high - low) * seed / count), seed, stored)
        x = x.to(points).to(stored)
        radii = {
            id(naive): torch.tensor([naive_radius(model, x, norm)], dtype=torch.float64),
            id(proven): robustness(model, x, first, norm=norm, arithmetic=arithmetic).radius,
        }
        for tally in (naive, proven):
            radius = radii[id(tally)]
            found = rounding_attack(model, x, first, radius, norm=norm, arithmetic=arithmetic, rivals=1, seed=seed)
            tally.add(int(radius[0] > 0), found.attempts, found.breaks)
    return naive, proven


def report(rows: list[tuple[str, str, str, int, Tally, Tally]], seconds: float) -> str:
    command = " ".join(["python", *sys.argv])
    versions = f"taut {taut.__version__}, torch {torch.__version__}, python {platform.python_version()}"
    total, other = Tally(), Tally()
    for *_, naive, proven in rows:
        total.add(naive.claims, naive.attempts, naive.broken)
        other.add(proven.claims, proven.attempts, proven.broken)
    lines = [
        "# Attacks on certificates by rounding",
        "",
        f"`{command}`, {versions}, {platform.machine()}, {seconds:.0f} s.",
        "",
        "Each sample is one claim of a network of its own, with a margin near the rounding error of the arithmetic. An",
        "attempt is one evaluation of a point that is in the ball by exact distance, in one order of summation.",
        "",
        f"**taut: {other.claims} claims, {other.attempts} attempts, {other.broken} broken.** Naive margins: "
        f"{total.claims} claims, {total.attempts} attempts, {total.broken} broken. The last three columns are taut's.",
        "",
        "| network | arithmetic | norm | samples | naive claims | attempts | broken | claims | attempts | broken |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for name, arithmetic, norm, count, naive, proven in rows:
        lines.append(f"| {name} | {arithmetic} | {norm} | {count} | {naive.text} | {proven.text} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--linear", type=int, default=200, help="linear classifiers per arithmetic and norm")
    parser.add_argument("--networks", type=int, default=40, help="networks of each other kind")
    parser.add_argument("--out", type=Path, help="folder for the record")
    options = parser.parse_args()
    torch.set_num_threads(1)
    start, rows = time.perf_counter(), []
    for name in BODIES:
        count = options.linear if name == "linear" else options.networks
        kinds = MARGINS if name == "linear" else ("float64", "float32-accumulate64")
        for arithmetic in kinds:
            for norm in ("l2", "linf"):
                naive, proven = attacked(name, arithmetic, norm, count)
                rows.append((name, arithmetic, norm, count, naive, proven))
                print(*rows[-1], f"{time.perf_counter() - start:.0f} s", flush=True)
    text = report(rows, time.perf_counter() - start)
    print(text)
    if options.out is not None:
        date = datetime.date.today().isoformat()
        (options.out / f"break-certificates-{date}.md").write_text(text)
    if any(proven.broken for *_, proven in rows):
        sys.exit("a certificate was broken")


if __name__ == "__main__":
    main()
