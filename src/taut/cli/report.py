"""`taut report`: the page of a run, or the comparison of several."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from taut.cli.parse import parse


@dataclass(frozen=True, kw_only=True)
class Options:
    """Write report.html of one run, or a page that compares several."""

    runs: Annotated[tuple[Path, ...], tyro.conf.Positional]
    """Run folders."""
    out: Path | None = None
    """File of the comparison; comparison.html in the present folder when absent. Not for a single run."""


def main(arguments: Sequence[str]) -> None:
    """Run `taut report` with `arguments`."""
    options = parse(Options, arguments, prog="taut report")
    from taut.errors import UsageError
    from taut.reports import write_report
    from taut.tasks.comparison import compare_finished

    if not options.runs:
        raise UsageError("give one run folder, or several to compare (see taut report --help)")
    if len(options.runs) == 1:
        if options.out is not None:
            raise UsageError("--out is for a comparison; the report of one run is written into its folder")
        print(f"wrote {write_report(options.runs[0])}")
    else:
        if options.out is not None and (options.out.is_dir() or not options.out.name):
            raise UsageError(f"--out is the file of the comparison, but {options.out} is a folder")
        print(f"wrote {compare_finished(list(options.runs), options.out or Path('comparison.html'))}")
