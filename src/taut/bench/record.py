"""A finished benchmark as files: a page of Markdown, and the same numbers as JSON."""

import math
import platform
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import Any

import torch

from taut.bench.peers import versions
from taut.bench.table import Row, Table
from taut.files import write_bytes, write_json
from taut.reports.benchmark.scaling_plot import scaling_pictures


def write_record(
    folder: Path, tables: Sequence[Table], *, command: Sequence[str], machine: Mapping[str, Any]
) -> list[Path]:
    """Write bench.md, bench.json and a plot of each study into `folder`, which exists; their paths."""
    said = {
        "command": list(command),
        "date": date.today().isoformat(),
        "machine": dict(machine),
        "versions": versions(),
    }
    found = [_finite(asdict(table)) for table in tables]
    words = ", ".join(f"{key} {value}" for key, value in {**machine, **said["versions"]}.items())
    lines = [f"`{shlex.join(command)}`, {said['date']}", "", words]
    for table in tables:
        lines += ["", f"## {table.title}", "", *markdown(table.rows, base=table.base)]
        if table.left_out:
            lines += ["", f"Left out, as it would have taken too long: {', '.join(table.left_out)}."]
    pictures = scaling_pictures(found)
    lines += [line for picture in pictures for line in ("", f"![{picture.alt}]({picture.name}.png)")]
    page, record = folder / "bench.md", folder / "bench.json"
    write_bytes(page, ("\n".join(lines) + "\n").encode())
    write_json(record, {**said, "tables": found})
    paths = [folder / f"{picture.name}.png" for picture in pictures]
    for path, picture in zip(paths, pictures, strict=True):
        write_bytes(path, picture.light)
    return [page, record, *paths]


def _finite(content: Any) -> Any:
    """The same without NaN, which JSON does not have: None stands for a number that there is not."""
    if isinstance(content, dict):
        return {name: _finite(value) for name, value in content.items()}
    return None if isinstance(content, float) and not math.isfinite(content) else content


def markdown(rows: Mapping[str, Row], *, base: str) -> list[str]:
    """Lines of a table, one row a contender."""
    named = heads(rows, base=base)
    lines = [f"| {' | '.join(['contender', *named])} |", f"|---|{'---:|' * len(named)}"]
    return lines + [f"| {name} | {' | '.join(cells(row))} |" for name, row in rows.items()]


def heads(rows: Mapping[str, Row], *, base: str) -> list[str]:
    """Names of the columns after that of the contender."""
    measured = any(row.peak_mib is not None for row in rows.values())
    return ["ms (median)", f"ratio to {base}", "quartiles", *(["MiB (peak)"] if measured else [])]


def cells(row: Row) -> list[str]:
    """What a table says of a row: median, ratio, quartiles, and memory where it was measured."""
    lost = f" (loss not finite in {row.rounds_not_finite} rounds, left out)" if row.rounds_not_finite else ""
    found = [f"{row.median_ms:.4g}", f"{row.ratio:.2f}", f"{row.ratio_low:.2f} to {row.ratio_high:.2f}{lost}"]
    return found if row.peak_mib is None else [*found, f"{row.peak_mib:.4g}"]


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
