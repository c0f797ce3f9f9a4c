"""The final table in the terminal."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table


def print_result(
    figures: Mapping[str, Any], *, written: Sequence[Path] = (), note: str = "", console: Console | None = None
) -> None:
    """Print the numbers of a result.json, the theorem in words, and the paths that were written."""
    console = console or Console()
    title = f"{figures['image']['name']}: {figures['operator']['description']}, {figures['algorithm']['description']}"
    console.print(f"{title}{note}", style="bold", highlight=False, soft_wrap=True, markup=False)
    console.print(result_table(figures))
    lines = [f"{one['name']}: {_words(one['check'])}" for one in _methods(figures)]
    lines += [f"your file: {words}" for words in figures["image"]["notes"]]
    for line in (*lines, *(f"wrote {path}" for path in written)):
        console.print(line, highlight=False, soft_wrap=True, markup=False)


def result_table(figures: Mapping[str, Any]) -> Table:
    """One row for each denoiser."""
    table = Table()
    table.add_column("denoiser")
    known = figures["start"] is not None
    for heading in ("proven constant", "theorem", "last residual", "rises", *(("PSNR", "SSIM") if known else ())):
        table.add_column(heading, justify="right")
    if known:
        table.add_row("start", "", "", "", "", *_quality(figures["start"]))
    for method in _methods(figures):
        bound, residual = method["lipschitz_bound"], method["residual"]
        table.add_row(
            method["name"],
            "none" if bound is None else f"{bound:.7g}",
            "holds" if method["check"]["holds"] else "fails",
            f"{residual['last']:.3g}",
            f"{residual['increases']} of {residual['steps'] - 1}" + (", diverged" if residual["diverged"] else ""),
            *(_quality(method["quality"]) if known else ()),
        )
    return table


def _words(check: Mapping[str, Any]) -> str:
    """The theorem that holds, or the one that would be needed and why it fails."""
    return f"{'' if check['holds'] else 'what would be needed is that '}{check['theorem']}. {check['verdict']}"


def _methods(figures: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [figures["denoiser"], *([figures["beside"]] if figures["beside"] else [])]


def _quality(found: Mapping[str, float] | None) -> tuple[str, str]:
    return ("", "") if found is None else (f"{found['psnr']:.2f} dB", f"{found['ssim']:.4f}")
