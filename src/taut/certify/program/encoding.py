"""The network file: a program as safetensors, and its hash; specified in docs/file_formats.md."""

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor

from taut.certify.program.program import Program
from taut.files import write_bytes

FORMAT, FORMAT_VERSION = "taut network", "1"
NAMES = {torch.float16: "F16", torch.bfloat16: "BF16", torch.float32: "F32", torch.float64: "F64"}


def program_json(program: Program) -> dict[str, Any]:
    """The operations, without their tensors."""
    nodes: list[dict[str, Any]] = [{"op": "input", "name": "", "inputs": [], "shape": list(program.input_shape)}]
    for node in program.nodes:
        settings = node.operation.settings()
        nodes.append({"op": node.operation.op, "name": node.name, "inputs": list(node.inputs), **settings})
    return {"nodes": nodes}


def program_tensors(program: Program) -> dict[str, Tensor]:
    """The tensors, as they are stored, by their names in the file."""
    return {
        f"{place}.{key}": value.kept
        for place, node in enumerate(program.nodes, 1)
        for key, value in node.operation.tensors().items()
    }


def canonical(content: Any) -> bytes:
    """JSON of which there is one version only."""
    return json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


def model_hash(program: Program) -> str:
    """SHA-256 of what a program computes: its operations, and its tensors' names, dtypes, shapes and bytes.

    Parametrized weights count as they are applied, so that a folded network whose operations are the same has the hash
    of the original.
    """
    digest = hashlib.sha256(canonical(program_json(program)))
    for name, tensor in sorted(program_tensors(program).items()):
        digest.update(f"{name} ".encode() + described(tensor))
    return digest.hexdigest()


def described(tensor: Tensor) -> bytes:
    """A line with dtype and shape, and the bytes."""
    flat = tensor.detach().cpu().contiguous().reshape(-1)
    sizes = ",".join(map(str, tensor.shape))
    return f"{NAMES[tensor.dtype]} {sizes}\n".encode() + flat.view(torch.uint8).numpy().tobytes()


def data_hash(inputs: Tensor) -> str:
    """SHA-256 of the inputs' dtype, shape and bytes."""
    return hashlib.sha256(described(inputs)).hexdigest()


def save_program(program: Program, path: str | os.PathLike[str]) -> None:
    """Write the network file, whole or not at all."""
    metadata = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "program": canonical(program_json(program)).decode(),
    }
    write_bytes(Path(path), safetensors.torch.save(program_tensors(program), metadata=metadata))
