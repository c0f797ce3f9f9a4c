"""A finished benchmark as files: a page of Markdown, and the same numbers as JSON."""

import platform
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import Any

import torch

from taut.bench.peers import versions
from taut.bench.timing import Row
from taut.files import write_bytes, write_json

Tables = Mapping[str, tuple[str, Mapping[str, Row]]]
"""By title: the base, and the rows."""


def write_record(folder: Path, tables: Tables, *, command: Sequence[str], machine: Mapping[str, Any]) -> list[Path]:
    """Write bench.md and bench.json into `folder`, which exists; their paths."""
    said = {
        "command": list(command),
        "date": date.today().isoformat(),
        "machine": dict(machine),
        "versions": versions(),
    }
    found = [
        {"title": title, "base": base, "rows": {name: asdict(row) for name, row in rows.items()}}
        for title, (base, rows) in tables.items()
    ]
    words = ", ".join(f"{key} {value}" for key, value in {**machine, **said["versions"]}.items())
    lines = [f"`{shlex.join(command)}`, {said['date']}", "", words]
    for title, (base, rows) in tables.items():
        lines += ["", f"## {title}", "", *markdown(rows, base=base)]
    page, record = folder / "bench.md", folder / "bench.json"
    write_bytes(page, ("\n".join(lines) + "\n").encode())
    write_json(record, {**said, "tables": found})
    return [page, record]


def markdown(rows: Mapping[str, Row], *, base: str) -> list[str]:
    """Lines of a table, one row a contender."""
    lines = [f"| contender | ms (median) | ratio to {base} | quartiles |", "|---|---:|---:|---:|"]
    return lines + [f"| {name} | {' | '.join(cells(row))} |" for name, row in rows.items()]


def cells(row: Row) -> list[str]:
    """What a table says of a row: median, ratio, quartiles."""
    lost = f" (loss not finite in {row.rounds_not_finite} rounds, left out)" if row.rounds_not_finite else ""
    return [f"{row.median_ms:.4g}", f"{row.ratio:.2f}", f"{row.ratio_low:.2f} to {row.ratio_high:.2f}{lost}"]


def machine(device: torch.device) -> dict[str, Any]:
    """What the numbers were measured on, without the name of the computer."""
    return {
        "processor": _processor(),
        "threads": torch.get_num_threads(),
        "device": torch.cuda.get_device_name() if device.type == "cuda" else device.type,
        "python": platform.python_version(),
        "system": platform.system(),
    }


def _processor() -> str:
    try:
        with open("/proc/cpuinfo") as file:
            return next(line.split(":")[1].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
