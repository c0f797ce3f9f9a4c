"""SHA-256 over exact bytes: of the weights and settings of a network, and of the data it was certified on."""

import hashlib
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from taut.certify.samples.distances import Distance
from taut.certify.samples.learned import Learned
from taut.certify.samples.steps import Affine, Exact, Step


def model_hash(steps: Sequence[Step]) -> str:
    """Hash of what a sequential network computes: per step its name, settings, and its weights' shapes, dtypes, bytes.

    Parametrized weights count as they are applied, so that a folded network has the hash of the original (unless
    folding had to multiply a factor into a weight).
    """
    digest = hashlib.sha256()
    for step in steps:
        if isinstance(step, Affine):
            digest.update(f"affine {step.name}\n".encode())
            for tensor in step.stored:
                digest.update(_exact_bytes(tensor))
        elif isinstance(step, Distance):
            digest.update(f"distance {step.name} {step.q.hex()}\n".encode())
            for tensor in step.stored:
                digest.update(_exact_bytes(tensor))
        elif isinstance(step, Learned):
            digest.update(f"learned {step.name} {step.formula}\n".encode())
            for key, tensor in step.stored.items():
                digest.update(f"{key}\n".encode())
                digest.update(_exact_bytes(tensor))
        elif isinstance(step, Exact):
            digest.update(f"exact {step.name} {step.description}\n".encode())
        else:
            digest.update(f"factor {step.name} {step.factor.hex()}\n".encode())
    return digest.hexdigest()


def data_hash(inputs: Float[Tensor, "batch *shape"]) -> str:
    """Hash of the inputs' shape, dtype and bytes."""
    return hashlib.sha256(_exact_bytes(inputs)).hexdigest()


def _exact_bytes(tensor: Tensor) -> bytes:
    flat = tensor.detach().cpu().contiguous().reshape(-1)
    return f"{tensor.dtype} {tuple(tensor.shape)}\n".encode() + flat.view(torch.uint8).numpy().tobytes()
