"""Samplers that a person wrote."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, final

import torch
from jaxtyping import Float32
from torch import Tensor

from taut.data.distributions.distribution import Distribution, check_count
from taut.data.distributions.empirical import Empirical
from taut.data.distributions.numbers import sized
from taut.errors import UsageError, UserError
from taut.importing import import_object, one_line

_PROBED = 2


@final
@dataclass(frozen=True, eq=False, repr=False, init=False)
class Function(Distribution):
    """The law that a sampler draws from: a callable (count, generator) -> `count` samples, one a row.

    It is called once when this is made, to see the shape of a sample; what it returns is checked each time. It should
    take its randomness from the generator, a `torch.Generator`, or a run cannot be repeated.

    Args:
        sampler: The callable; it returns an array, a tensor or lists.
        name: What it is called in descriptions and errors.

    Raises:
        UserError: The sampler fails, or returns something else than `count` finite samples, always of one shape.

    Example:
        >>> def corners(count, generator):
        ...     return torch.randint(2, (count, 3), generator=generator)
        >>> Function(corners).sample(4, torch.Generator()).shape
        torch.Size([4, 3])
    """

    sampler: Callable[[int, torch.Generator], Any]
    """The callable."""
    name: str
    """What it is called."""
    sample_shape: tuple[int, ...]
    """Shape of one sample."""

    def __init__(self, sampler: Callable[[int, torch.Generator], Any], *, name: str | None = None) -> None:
        object.__setattr__(self, "sampler", sampler)
        object.__setattr__(self, "name", name or getattr(sampler, "__name__", type(sampler).__name__))
        probe = _checked(_called(sampler, self.name, _PROBED, torch.Generator().manual_seed(0)), self.name, _PROBED)
        object.__setattr__(self, "sample_shape", tuple(probe.shape[1:]))

    @property
    def shape(self) -> tuple[int, ...]:
        return self.sample_shape

    @property
    def description(self) -> str:
        return f"what {self.name} draws, {sized(self.shape)}"

    def sample(self, count: int, generator: torch.Generator) -> Float32[Tensor, "count *shape"]:
        check_count(count)
        samples = _checked(_called(self.sampler, self.name, count, generator), self.name, count)
        if tuple(samples.shape[1:]) != self.shape:
            raise UserError(f"{self.name} gave samples of shape {tuple(samples.shape[1:])}, and before {self.shape}")
        return samples


def imported(name: str) -> Distribution:
    """The distribution called MODULE:NAME or FILE.py:NAME: a `Distribution`, a function without arguments that returns
    one, or a sampler (count, generator) -> samples.

    Raises:
        UsageError: It cannot be imported, or is none of these.
        UserError: It fails, or its samples are not as `Function` wants them.
    """
    found = import_object(name)
    if isinstance(found, Distribution):
        return found
    if not callable(found):
        raise UsageError(f"{name} is a {type(found).__name__}, not a distribution or a function (count, generator)")
    if _takes(found, 1, torch.Generator()):
        return Function(found, name=name)
    if not _takes(found):
        raise UsageError(f"{name} must be a function of (count, generator), or of nothing, that returns a distribution")
    made = _called(found, name)
    if not isinstance(made, Distribution):
        raise UsageError(
            f"{name} takes no arguments, so it must return a distribution, but it gave a {type(made).__name__}"
        )
    return made


def _takes(function: Callable[..., Any], *arguments: Any) -> bool:
    try:
        inspect.signature(function).bind(*arguments)
    except TypeError:
        return False
    except ValueError:  # a signature that cannot be read: the call itself will tell
        return True
    return True


def _called(function: Callable[..., Any], name: str, *arguments: Any) -> Any:
    try:
        return function(*arguments)
    except (Exception, SystemExit) as error:  # the user's own code
        with_what = f" when asked for {arguments[0]} samples" if arguments else ""
        raise UserError(f"{name} fails{with_what}: {type(error).__name__}: {one_line(error)}") from error


def _checked(found: Any, name: str, count: int) -> Tensor:
    try:
        samples = Empirical(found, name="samples").samples
    except ValueError as error:
        raise UserError(f"{name} gave what cannot be used: {error}") from error
    if len(samples) != count:
        raise UserError(f"{name} gave {len(samples)} samples when asked for {count}")
    return samples
