"""`taut export`: a trained network as one folder that `taut.load` opens on another machine."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from taut.cli.parse import parse


@dataclass(frozen=True, kw_only=True)
class Options:
    """Write the network of a finished classification run into a folder of its own, with its certificate, its figures
    and a card that explains it; `taut.load(FOLDER)` opens it. Nothing is pickled, and nothing is written by halves."""

    run: Annotated[Path, tyro.conf.Positional]
    """Folder of a finished run."""
    out: Path
    """A new or empty folder."""
    samples: bool = True
    """Whether the certified samples are put into it, which `taut verify` needs and their licence may not allow."""
    data_root: Path | None = None
    """Folder of the data files, whose sizes and fingerprints the card tells; that of the training run when absent."""


def main(arguments: Sequence[str]) -> None:
    """Run `taut export` with `arguments`."""
    options = parse(Options, arguments, prog="taut export")
    from taut.tasks.classification.exporting import export_run

    for path in export_run(options.run, options.out, samples=options.samples, data_root=options.data_root):
        print(f"wrote {path}")
    print(f'read {options.out / "README.md"}; open it with: taut.load("{options.out}")')
