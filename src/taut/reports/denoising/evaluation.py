"""`evaluation.safetensors` of a denoising run: PSNR of each picture, and some with all that was made of them."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float

from taut.errors import UserError
from taut.reports.denoising.result import METHODS
from taut.reports.folder.tensors import read_tensors


@dataclass(frozen=True, kw_only=True)
class Strip:
    """One picture: clean, and as each method gives it, in [0, 1]."""

    test_set: str
    index: int
    clean: Float[np.ndarray, "channels height width"]
    made: dict[str, Float[np.ndarray, "channels height width"]]
    """By method."""
    psnr: dict[str, float]
    """By method, in dB, of the whole picture."""


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """What was kept of the held-out sets."""

    psnr: dict[str, dict[str, Float[np.ndarray, " pictures"]]]
    """By set and method."""
    strips: list[Strip]


def read_evaluation(path: Path) -> Evaluation:
    """Read and check the file; a `UserError` names what it lacks."""
    tensors = read_tensors(path, required=())
    psnr: dict[str, dict[str, np.ndarray]] = {}
    for key, tensor in tensors.items():
        name, method, what = _parts(key, path)
        if what == "psnr":
            psnr.setdefault(name, {})[method] = tensor
    strips = []
    for key in tensors:
        name, method, what = _parts(key, path)
        if method == "clean":
            strips.append(_strip(tensors, name, int(what), psnr, path))
    return Evaluation(psnr=psnr, strips=sorted(strips, key=lambda strip: (strip.test_set, strip.index)))


def _parts(key: str, path: Path) -> tuple[str, str, str]:
    parts = key.split("/")
    if len(parts) != 3 or (parts[1] == "clean" and not parts[2].isdecimal()):
        raise UserError(f"{path} is damaged: {key!r} is not the name of a tensor that it may hold")
    return parts[0], parts[1], parts[2]


def _strip(
    tensors: dict[str, np.ndarray], name: str, index: int, psnr: dict[str, dict[str, np.ndarray]], path: Path
) -> Strip:
    of_set = psnr.get(name, {})
    methods = [method for method in METHODS if f"{name}/{method}/{index}" in tensors]
    clean = tensors[f"{name}/clean/{index}"]
    for method in methods:
        if method not in of_set or len(of_set[method]) <= index:
            raise UserError(f"{path} is damaged: it lacks the PSNR of {method} on picture {index} of {name}")
        if tensors[f"{name}/{method}/{index}"].shape != clean.shape:
            raise UserError(f"{path} is damaged: {name}/{method}/{index} has another shape than the clean picture")
    return Strip(
        test_set=name,
        index=index,
        clean=clean / 255.0,
        made={method: tensors[f"{name}/{method}/{index}"] / 255.0 for method in methods},
        psnr={method: float(of_set[method][index]) for method in methods},
    )
