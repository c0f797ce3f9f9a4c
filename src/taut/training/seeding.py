"""Random numbers: every stream is a pure function of the run's seed and of where in the run it is used."""

import hashlib

import torch
from torch import Tensor


def stream_seed(*parts: int | str) -> int:
    """A 63-bit seed that depends on all of `parts` and on nothing else (SHA-256, so that neighbours are unrelated).

    Example:
        >>> stream_seed(0, "order", 1) == stream_seed(0, "order", 1) != stream_seed(0, "order", 2)
        True
    """
    digest = hashlib.sha256("/".join(map(str, parts)).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def stream(*parts: int | str) -> torch.Generator:
    """A CPU generator seeded by `stream_seed(*parts)`."""
    return torch.Generator().manual_seed(stream_seed(*parts))


def seed_everything(seed: int) -> None:
    """Seed torch's global generators (CPU and accelerators). Call it before the model is built."""
    torch.manual_seed(seed)


def random_state() -> dict[str, Tensor]:
    """States of torch's global generators as uint8 tensors, for a checkpoint."""
    states = {"cpu": torch.get_rng_state()}
    if torch.cuda.is_available() and torch.cuda.is_initialized():
        states["cuda"] = torch.cuda.get_rng_state()
    return states


def set_random_state(states: dict[str, Tensor]) -> None:
    """Put back what `random_state` returned."""
    torch.set_rng_state(states["cpu"])
    if "cuda" in states and torch.cuda.is_available():
        torch.cuda.set_rng_state(states["cuda"])
