"""`taut list`: what there is to choose from."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table
from rich.text import Text

from taut.cli.parse import parse


@dataclass(frozen=True, kw_only=True)
class Options:
    """Show recipes, data sets and layers."""

    json: bool = False
    """Print JSON."""


def main(arguments: Sequence[str]) -> None:
    """Run `taut list` with `arguments`."""
    options = parse(Options, arguments, prog="taut list")
    from taut import data
    from taut import nn as tnn
    from taut.data.streaming import STREAM
    from taut.recipes import RECIPES, description

    content = {
        "recipes": {name: description(name) for name in RECIPES},
        "linear layers": {name: _first_paragraph(cls) for name, cls in tnn.linears().items()},
        "convolutions": {name: _first_paragraph(cls) for name, cls in tnn.convolutions().items()},
        "activations": {name: _first_paragraph(cls) for name, cls in tnn.activations().items()},
        "other layers": {name: _first_paragraph(cls) for name, cls in tnn.maps().items()},
        "data sets": [*data.names(), STREAM],
    }
    if options.json:
        print(json.dumps(content, indent=2, ensure_ascii=False))
        return
    console = Console(highlight=False)
    for heading, entries in content.items():
        table = Table.grid(padding=(0, 2))
        for name in entries:
            table.add_row(Text(f"  {name}"), Text(entries[name] if isinstance(entries, dict) else ""))
        console.print(heading, style="bold")
        console.print(table)
    console.print("\ntrain one with: taut train RECIPE   (every option: taut train RECIPE --help)")


def _first_paragraph(cls: type) -> str:
    return " ".join((cls.__doc__ or "").strip().split("\n\n")[0].split())
