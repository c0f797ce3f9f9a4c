"""Writes docs/gallery.md and its pictures from finished runs: python docs/gallery.py RUNS

RUNS is a folder with one run folder for each exhibit, named as below and made by the command that the page shows.
"""

import io
import json
import shlex
import sys
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

ROOT = Path(__file__).parents[1]
PAGE, PICTURES = ROOT / "docs" / "gallery.md", ROOT / "docs" / "gallery"
WIDTH, COLOURS = 800, 96
INTRODUCTION = """# Gallery

Pictures that the project's own runs made, each with its command. They are those of the reports, made smaller;
`python docs/gallery.py RUNS` writes this page from the run folders. Data that a run reads from files are named by
`--data-root DIR`; the others need no file.
"""


@dataclass(frozen=True)
class Exhibit:
    """One picture of one run."""

    title: str
    run: str
    """Name of the run folder."""
    picture: str
    """Path inside of it."""
    caption: Callable[[dict[str, Any]], str]
    """From result.json."""


def _fit(result: dict[str, Any]) -> str:
    medians = {cell["activation"]: cell["median"] for cell in result["cells"] if cell["linear"] == "bjorck"}
    return (
        f"Median of {result['models']} networks 1-10-10-10-1 of each activation, all proven 1-Lipschitz, on a function "
        f"with slopes 1 and -1. Median squared error with orthonormal layers: spline {medians['linear-spline']:.1e}, "
        f"GroupSort {medians['group-sort']:.1e}, MaxMin {medians['max-min']:.1e}, ReLU {medians['relu']:.1e}."
    )


def _denoising(result: dict[str, Any]) -> str:
    found = result["sets"]["bsd68"]
    return (
        f"Noise of {result['sigma']:g}/255 on BSD68. PSNR: noisy {found['noisy']['psnr']:.2f} dB, total variation "
        f"{found['tv']['psnr']:.2f} dB, the denoiser {found['denoiser']['psnr']:.2f} dB with a proven constant of "
        f"{result['lipschitz_bound']:.7g}, the same net unconstrained {found['unconstrained']['psnr']:.2f} dB with "
        f"{result['unconstrained_bound']:.3g}."
    )


def _strip(result: dict[str, Any]) -> str:
    return (
        f"{result['operator']['description']}, {result['algorithm']['description']}: PSNR "
        f"{result['start']['psnr']:.2f} dB before, {result['denoiser']['quality']['psnr']:.2f} dB after."
    )


def _rises(found: dict[str, Any]) -> str:
    return f"{found['residual']['increases']} of {found['residual']['steps'] - 1}"


def _residual(result: dict[str, Any]) -> str:
    ours, other = result["denoiser"], result["beside"]
    return (
        f"The residual of the fixed point, step by step. With the proven denoiser (constant "
        f"{ours['lipschitz_bound']:.7g}) it rises in {_rises(ours)} steps, as the theorem says. With the same net "
        f"trained without constraint (bound {other['lipschitz_bound']:.3g}) no theorem holds, and it rises in "
        f"{_rises(other)}."
    )


EXHIBITS = (
    Exhibit(
        "A certified classifier",
        "digits",
        "plots/certified_accuracy.png",
        lambda r: (
            f"Handwritten digits: {r['accuracy']:.1%} correct, and the share that nothing within a radius can "
            "change, proven, below what an attack leaves."
        ),
    ),
    Exhibit("Every activation on one function", "fit-1d", "plots/curves.png", _fit),
    Exhibit("And all their errors", "fit-1d", "plots/errors.png", lambda r: "One point for each network."),
    Exhibit(
        "The critic of a Wasserstein distance",
        "three-cones",
        "plots/potential_surface.png",
        lambda r: (
            f"Between three points and the circles about them the distance is 1. The critic with sorting activations "
            f"finds {r['estimate']:.3f}, the same with ReLU {r['beside']['estimate']:.3f}."
        ),
    ),
    Exhibit(
        "A GAN whose critic has a proven constant",
        "gan",
        "samples.png",
        lambda r: (
            f"MNIST after 12 epochs. Fréchet distance {r['quality']['frechet']:.1f} (training pictures: "
            f"{r['quality']['reference']['frechet']:.1f}); constant of the critic {r['lipschitz_bound']:.7g}."
        ),
    ),
    Exhibit(
        "An invertible network",
        "invertible-2d",
        "plots/density.png",
        lambda r: (
            f"Density learned by likelihood beside the true one. Every inverse is off by at most "
            f"{r['inversion']['max_error']:.0e}, measured, and {r['inversion']['tolerance']:.0e}, proven."
        ),
    ),
    Exhibit("A denoiser", "denoise", "plots/strips.png", _denoising),
    Exhibit("Deblurring", "blur", "plots/strip.png", _strip),
    Exhibit("Why the constant matters", "why", "plots/residual.png", _residual),
)


def main(runs: Path) -> None:
    """Write all pictures, then the page."""
    PICTURES.mkdir(exist_ok=True)
    parts = [INTRODUCTION]
    for number, exhibit in enumerate(EXHIBITS, 1):
        result = json.loads((runs / exhibit.run / "result.json").read_text(encoding="utf-8"))
        name = f"{number:02d}-{exhibit.run}.png"
        (PICTURES / name).write_bytes(_smaller(runs / exhibit.run / exhibit.picture))
        caption = textwrap.fill(exhibit.caption(result), 120)
        parts.append(
            f"## {exhibit.title}\n\n![{exhibit.title}](gallery/{name})\n\n{caption}\n\n```\n{command(result)}\n```\n"
        )
    for old in PICTURES.glob("*.png"):
        if f"gallery/{old.name}" not in "".join(parts):
            old.unlink()
    PAGE.write_text("\n".join(parts), encoding="utf-8")


def command(result: dict[str, Any]) -> str:
    """The command that made the run, with DIR for the user's own data folder and without the run folder's path."""
    words = list(result["command"])
    for option in ("--out", "--data-root"):
        if option in words:
            place = words.index(option)
            words[place : place + 2] = [] if option == "--out" else [option, "DIR"]
    return shlex.join(Path(word).name if "/" in word else word for word in words)


def _smaller(path: Path) -> bytes:
    """The picture as a PNG of at most `WIDTH` pixels across and few colours."""
    with Image.open(path) as image:
        shown = image.convert("RGB")
    if shown.width > WIDTH:
        shown = shown.resize((WIDTH, round(shown.height * WIDTH / shown.width)), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    shown.quantize(COLOURS, dither=Image.Dither.NONE).save(buffer, format="PNG", optimize=True)
    return buffer.getvalue()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
