"""Checkpoints: a folder that appears whole or not at all, whose every byte is covered by a checksum.

`checkpoints/<step>/` holds model.safetensors (parameters and buffers), trainer.safetensors (optimizer, random
numbers, average) and trainer.json (counters and the SHA-256 of the two others and of itself). Nothing is pickled.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor

from taut.errors import UserError
from taut.files import tensor_bytes, write_bytes


@dataclass(frozen=True, kw_only=True)
class Counters:
    """The part of a checkpoint that is not tensors."""

    step: int
    """Updates done."""
    seconds: float
    """Time spent in training so far."""
    metrics_bytes: int
    """Length of metrics.jsonl at this step."""
    data: str
    """Fingerprint of the training split."""


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """Everything from which training continues as if it had not stopped."""

    counters: Counters
    model: dict[str, Tensor]
    trainer: dict[str, Tensor]


def save_checkpoint(folder: Path, checkpoint: Checkpoint) -> Path:
    """Write `checkpoint` under `folder`, then remove older ones. Raises UserError when a weight is not finite."""
    for name, tensor in checkpoint.model.items():
        if not bool(torch.isfinite(tensor).all()):
            raise UserError(
                f"training diverged: {name} is not finite after step {checkpoint.counters.step}; "
                "the last good checkpoint is kept (try a smaller --lr)"
            )
    folder.mkdir(exist_ok=True)
    final = folder / f"{checkpoint.counters.step:09d}"
    temporary = folder / f"{final.name}.tmp"
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir()
    contents = {
        "model.safetensors": tensor_bytes(checkpoint.model),
        "trainer.safetensors": tensor_bytes(checkpoint.trainer),
    }
    for name, content in contents.items():
        write_bytes(temporary / name, content)
    manifest: dict[str, Any] = {
        **asdict(checkpoint.counters),
        "sha256": {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()},
    }
    manifest["self"] = _digest(manifest)
    write_bytes(temporary / "trainer.json", json.dumps(manifest, indent=2).encode())
    shutil.rmtree(final, ignore_errors=True)
    temporary.rename(final)
    _flush(folder)
    for old in folder.iterdir():
        if old != final:
            shutil.rmtree(old, ignore_errors=True)
    return final


def has_checkpoint(folder: Path) -> bool:
    """Whether there is a checkpoint under `folder`; it may be damaged."""
    return folder.is_dir() and any(path.name.isdigit() for path in folder.iterdir())


def load_checkpoint(folder: Path) -> Checkpoint | None:
    """The newest checkpoint under `folder`, or None when there is none yet. Raises UserError when it is damaged."""
    complete = sorted(path for path in folder.glob("*") if path.name.isdigit()) if folder.is_dir() else []
    if not complete:
        return None
    newest = complete[-1]
    try:
        manifest = json.loads((newest / "trainer.json").read_text())
        own = manifest.pop("self")
        if own != _digest(manifest):
            raise ValueError("trainer.json does not match its checksum")
        sums = manifest.pop("sha256")
        model = _checked(newest / "model.safetensors", sums)
        trainer = _checked(newest / "trainer.safetensors", sums)
        return Checkpoint(counters=Counters(**manifest), model=model, trainer=trainer)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        reason = " ".join(str(error).split())
        raise UserError(f"checkpoint {newest} is damaged ({reason}); train again into a new folder") from error


def _checked(path: Path, sums: Mapping[str, str]) -> dict[str, Tensor]:
    content = path.read_bytes()
    if hashlib.sha256(content).hexdigest() != sums[path.name]:
        raise ValueError(f"{path.name} does not match its checksum")
    return safetensors.torch.load(content)


def _digest(manifest: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()


def _flush(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
