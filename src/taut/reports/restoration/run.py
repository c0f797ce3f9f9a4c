"""A restoration, read and checked: everything that its page can say comes from here."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float
from PIL import Image

from taut.errors import UserError
from taut.reports.folder.run_folder import RunFolder
from taut.reports.folder.tensors import read_tensors
from taut.reports.restoration.result import Result, read_result

PICTURES = ("original", "measurement", "restored", "beside")
"""Files of pictures in the order of the strip; not every run has all."""


@dataclass(frozen=True, kw_only=True)
class Course:
    """One number an iteration."""

    residual: Float[np.ndarray, " steps"]
    psnr: Float[np.ndarray, " steps"] | None


@dataclass(frozen=True, kw_only=True)
class Run:
    """What a run folder holds. A part that is not there is None."""

    result: Result | None
    denoiser: Course | None
    beside: Course | None
    pictures: dict[str, Float[np.ndarray, "height width *colours"]]
    """By the name of the file, with levels in [0, 1] and without transparency."""


def read_run(folder: RunFolder) -> Run:
    """Read the files of a restoration; a `UserError` names what is damaged."""
    result = folder.when_there("result.json", read_result)
    courses = folder.when_there("evaluation.safetensors", _read_courses) or {}
    found = {name: folder.when_there(f"{name}.png", _read_levels) for name in PICTURES}
    run = Run(
        result=result,
        denoiser=courses.get("denoiser"),
        beside=courses.get("beside"),
        pictures={name: levels for name, levels in found.items() if levels is not None},
    )
    if result is not None and run.denoiser is not None:
        for name, method, course in (
            ("denoiser", result.denoiser, run.denoiser),
            ("beside", result.beside, run.beside),
        ):
            if (method.steps if method else 0) != (len(course.residual) if course else 0):
                raise UserError(
                    f"{folder.path} is damaged: result.json and evaluation.safetensors "
                    f"speak of different numbers of iterations of {name}"
                )
    return run


def _read_courses(path: Path) -> dict[str, Course]:
    tensors = {name: values.astype(np.float64) for name, values in read_tensors(path, required=("denoiser",)).items()}
    for name, values in tensors.items():
        if values.ndim != 1 or not len(values) or not np.isfinite(values).all():
            raise UserError(f"{path} is damaged: {name} must be a row of finite numbers")
    return {
        name: Course(residual=tensors[name], psnr=tensors.get(f"{name}_psnr"))
        for name in ("denoiser", "beside")
        if name in tensors
    }


def _read_levels(path: Path) -> np.ndarray:
    try:
        with Image.open(path, formats=["PNG"]) as image:
            image.load()
            if image.mode.startswith("I"):
                return np.asarray(image, dtype=np.float64) / 65535
            return np.asarray(image.convert("L" if image.mode in ("L", "LA") else "RGB"), dtype=np.float64) / 255
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise UserError(f"{path} is damaged: it is no picture that can be shown ({error})") from error
