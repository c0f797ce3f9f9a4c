"""What a finished run leaves behind: the table of all methods in result.json, and the pictures behind it."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from taut.data.images import ImageSet, ImageSets
from taut.imaging import Denoiser
from taut.tasks.denoising.config import Config
from taut.tasks.denoising.measure import SHOWN, Measured
from taut.tasks.layers import layer_rows
from taut.tasks.provenance import provenance

Found = Mapping[str, Mapping[str, Measured]]
"""By set and method: "noisy", "tv", "denoiser", "unconstrained"."""


def result(
    config: Config,
    sets: ImageSets,
    found: Found,
    denoisers: Mapping[str, Denoiser],
    *,
    tv_weight: float,
    recipe: str,
    command: Sequence[str],
    seconds: Mapping[str, float],
) -> dict[str, Any]:
    """The content of result.json."""
    denoiser, other = denoisers["denoiser"], denoisers.get("unconstrained")
    return {
        "task": config.task,
        "recipe": recipe,
        "dataset": config.data.dataset,
        "train_images": len(sets.train),
        "sigma": float(config.data.sigma),
        "channels": config.data.channels,
        "averaging": float(config.model.averaging),
        "convolution": config.model.convolution,
        "activation": config.model.activation,
        "norm": "l2",
        "network_bound": denoiser.network_bound,
        "lipschitz_bound": denoiser.lipschitz_bound,
        "averaged": denoiser.averaged,
        "unconstrained_bound": None if other is None or math.isinf(other.lipschitz_bound) else other.lipschitz_bound,
        "sets": {name: _of_set(sets.tests[name], methods, tv_weight) for name, methods in found.items()},
        # the singular values of a kernel read as a matrix are not those of its convolution
        "layers": [{**row, "singular_values": []} for row in layer_rows(denoiser.network, "l2", None)],
        "parameters": sum(parameter.numel() for parameter in denoiser.network.parameters()),
        **provenance(command=command, seed=config.seed, seconds=seconds),
    }


def _of_set(pictures: ImageSet, methods: Mapping[str, Measured], tv_weight: float) -> dict[str, Any]:
    count = len(methods["noisy"].psnr)
    other = methods.get("unconstrained")
    return {
        "images": count,
        "titles": list(pictures.titles[:count]),
        "noisy": methods["noisy"].means(),
        "denoiser": methods["denoiser"].means(),
        "tv": {**methods["tv"].means(), "weight": tv_weight},
        "unconstrained": None if other is None else other.means(),
    }


def evaluation_tensors(sets: ImageSets, found: Found) -> dict[str, Tensor]:
    """The tensors of evaluation.safetensors: SET/METHOD/psnr and ssim, SET/METHOD/0 (its first pictures, in bytes)."""
    tensors: dict[str, Tensor] = {}
    for name, methods in found.items():
        for method, measured in methods.items():
            tensors |= {f"{name}/{method}/psnr": measured.psnr, f"{name}/{method}/ssim": measured.ssim}
            tensors |= {f"{name}/{method}/{index}": _bytes(made) for index, made in enumerate(measured.shown)}
        for index in range(min(SHOWN, len(methods["noisy"].psnr))):
            tensors[f"{name}/clean/{index}"] = sets.tests[name].pixels[index]
    return tensors


def _bytes(picture: Tensor) -> Tensor:
    return (picture.clamp(0, 1) * 255).round().to(torch.uint8)
