"""The denoisers that the options of a restoration name, and how strong they are used."""

from dataclasses import dataclass, replace
from pathlib import Path

from taut.errors import UsageError
from taut.imaging import Denoiser, TVDenoiser, tv_denoiser
from taut.tasks.denoising import load_denoiser
from taut.tasks.restoration.config import DenoiserConfig

USUAL_NOISE = 2.0
"""Noise of a measurement, in units of 1/255, where nothing is said of it."""
_DENOISED_NOISE = 15.0
_PER_VARIANCE = 15.0
"""Weight of total variation over the variance of the noise that it suits: about the best for photographs."""


@dataclass(frozen=True, kw_only=True)
class Chosen:
    """A denoiser, what the page calls it, and how strong it is used."""

    name: str
    denoiser: Denoiser | TVDenoiser
    sigma: float | None = None
    """Noise level that it is used for, in units of the images; None where it has none."""

    @property
    def strength(self) -> str:
        """In words."""
        if isinstance(self.denoiser, TVDenoiser):
            return f"weight {self.denoiser.weight:.3g}"
        return "" if self.sigma is None else f"noise {255 * self.sigma:.3g}/255"


def read_denoisers(config: DenoiserConfig) -> tuple[Chosen, Chosen | None]:
    """The denoiser, and the one beside it, not yet at their strength.

    Raises:
        UsageError: Something that is no denoiser, two that are the same.
        UserError: A run that is not finished, or damaged, or without an unconstrained net.
    """
    if Path(config.beside).resolve() == Path(config.denoiser).resolve():
        raise UsageError(f"--beside must be another denoiser than --denoiser, got {config.beside!r} for both")
    first = _read(config.denoiser)
    if config.beside == "none":
        return first, None
    second = _of_run(config.denoiser, unconstrained=True) if config.beside == "unconstrained" else _read(config.beside)
    if second.name == first.name:
        second = replace(second, name=f"{second.name} (beside)")
    return first, second


def usual_noise(chosen: Chosen, operator: str) -> float:
    """Noise that is added where none is asked for, in units of 1/255."""
    if operator != "denoise":
        return USUAL_NOISE
    return 255 * chosen.denoiser.sigma if chosen.denoiser.sigma else _DENOISED_NOISE


def at_strength(chosen: Chosen, config: DenoiserConfig, *, noise: float, step: float) -> Chosen:
    """The denoiser for the noise level, or weight of total variation, that was asked for.

    A trained one is otherwise used as it was trained: by its constants any scale is as safe, but networks are not good
    at grey levels that they have never seen. Total variation suits noise sqrt(step), `noise` that of the measurement:
    then a fixed point minimises |A x - y|^2 / (2 noise^2) plus a multiple of it that is about right for photographs.
    """
    if isinstance(chosen.denoiser, TVDenoiser):
        weight = config.tv_weight or max(_PER_VARIANCE * noise**2 * step, 1e-6)
        tv = tv_denoiser(weight=weight)
        tv.name = chosen.name
        return replace(chosen, denoiser=tv)
    made_for, asked = chosen.denoiser.sigma, config.denoiser_sigma
    if made_for is not None and asked is not None and not made_for / 4 <= asked / 255 <= made_for * 4:
        raise UsageError(
            f"{chosen.name} was trained for noise of {255 * made_for:.4g}/255: --denoiser-sigma must be from a quarter "
            f"to four times that, {255 * made_for / 4:.4g} to {255 * made_for * 4:.4g}, got {asked:g}"
        )
    return replace(chosen, sigma=made_for if made_for is None or asked is None else asked / 255)


def _read(name: str) -> Chosen:
    if name == "tv":
        return Chosen(name="TV", denoiser=tv_denoiser(weight=1.0))
    return _of_run(name)


def _of_run(name: str, *, unconstrained: bool = False) -> Chosen:
    path = Path(name)
    if not path.is_dir():
        raise UsageError(f"a denoiser is tv or the folder of a denoising run, and there is no folder {path}")
    denoiser = load_denoiser(path, unconstrained=unconstrained)
    denoiser.name = "unconstrained" if unconstrained else path.resolve().name
    return Chosen(name=denoiser.name, denoiser=denoiser)
