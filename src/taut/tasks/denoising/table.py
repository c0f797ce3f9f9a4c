"""The final table in the terminal."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

METHODS = {
    "noisy": "noisy",
    "tv": "total variation",
    "denoiser": "denoiser, proven constant",
    "unconstrained": "same net, unconstrained",
}


def print_result(
    figures: Mapping[str, Any], *, written: Sequence[Path] = (), note: str = "", console: Console | None = None
) -> None:
    """Print the methods of a result.json beside each other, what is proven, and the paths that were written."""
    console = console or Console()
    title = f"noise of {figures['sigma']:g}/255 on {figures['dataset']}{note}"
    console.print(title, style="bold", highlight=False, soft_wrap=True, markup=False)
    console.print(methods_table(figures))
    for sentence in (proven(figures), gaps(figures)):
        console.print(sentence, highlight=False, soft_wrap=True, markup=False)
    for path in written:
        console.print(f"wrote {path}", highlight=False, soft_wrap=True, markup=False)


def methods_table(figures: Mapping[str, Any]) -> Table:
    """One row per method, PSNR and SSIM on each set; means over its pictures."""
    table = Table()
    table.add_column("method")
    for name, of_set in figures["sets"].items():
        table.add_column(f"{name} ({of_set['images']})\nPSNR [dB]", justify="right")
        table.add_column("\nSSIM", justify="right")
    table.add_column("Lipschitz constant\nproven (l2)", justify="right")
    bounds = {"tv": "1", "denoiser": f"{figures['lipschitz_bound']:.7g}"}
    if figures["unconstrained_bound"] is not None:
        bounds["unconstrained"] = f"{figures['unconstrained_bound']:.4g}"
    for method, words in METHODS.items():
        means = [of_set[method] for of_set in figures["sets"].values()]
        if None not in means:
            cells = [text for mean in means for text in (f"{mean['psnr']:.2f}", f"{mean['ssim']:.4f}")]
            table.add_row(words, *cells, bounds.get(method, ""))
    return table


def proven(figures: Mapping[str, Any]) -> str:
    """What is proven of the denoiser, in a sentence."""
    bound = f"proven Lipschitz constant of D (l2, pictures of every size): {figures['lipschitz_bound']:.7g}"
    if figures["averaged"] is None:
        return f"{bound}; D is not proven averaged (--averaging {figures['averaging']:g})"
    return f"{bound}; D = {1 - figures['averaged']:g} y + {figures['averaged']:g} N(y) is proven averaged"


def gaps(figures: Mapping[str, Any]) -> str:
    """How far the denoiser is above total variation and below the unconstrained net."""
    parts = []
    for name, of_set in figures["sets"].items():
        mean = of_set["denoiser"]["psnr"]
        text = f"{name}: {mean - of_set['tv']['psnr']:+.2f} dB against total variation"
        if of_set["unconstrained"]:
            text += f", {mean - of_set['unconstrained']['psnr']:+.2f} dB against the unconstrained net"
        parts.append(text)
    return "; ".join(parts)
