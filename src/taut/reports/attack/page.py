"""`attack.html` and its pictures in the folder of an attack."""

from pathlib import Path

from taut.files import write_bytes
from taut.reports.attack.curve_plot import curve_picture
from taut.reports.attack.examples_plot import examples_picture
from taut.reports.attack.result import read_attack
from taut.reports.page.render import render


def write_attack_page(folder: Path) -> list[Path]:
    """Write accuracy.png, examples.png (where the inputs are pictures and some were changed) and attack.html; the
    page comes last.

    Raises UserError where result.json or examples.safetensors is damaged, or the folder cannot be written.
    """
    attack = read_attack(folder)
    curve = curve_picture(attack)
    pictures = attack.tensors["input"].ndim == 4 and len(attack.tensors["index"])
    examples = examples_picture(attack) if pictures else None
    page = render("attack/attack.html", {"attack": attack, "curve": curve, "examples": examples})
    written = []
    if examples is None:  # those of an earlier call would belong to other numbers
        (folder / "examples.png").unlink(missing_ok=True)
    for picture in (curve, examples):
        if picture is not None:
            written.append(folder / f"{picture.name}.png")
            write_bytes(written[-1], picture.light)
    written.append(folder / "attack.html")
    write_bytes(written[-1], page)
    return written
