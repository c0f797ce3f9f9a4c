"""Everything that can be chosen about the restoration of a picture; field docstrings are the help."""

from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import ClassVar, Literal

from taut.errors import require

OperatorName = Literal["denoise", "inpaint", "blur", "super-resolution", "mri", "tomography"]
AlgorithmName = Literal["forward-backward", "admm", "douglas-rachford", "primal-dual"]

MEASURABLE = ("denoise", "inpaint", "blur", "super-resolution")
"""Operators whose measurement is a picture, so that it can be given as one."""

_BELONGS: dict[str, OperatorName] = {
    "keep": "inpaint", "mask": "inpaint", "kernel": "blur", "kernel_width": "blur", "kernel_angle": "blur",
    "factor": "super-resolution", "acceleration": "mri", "angles": "tomography",
}  # fmt: skip
"""Options of one operator alone."""


@dataclass(frozen=True, kw_only=True)
class OperatorConfig:
    """What happened to the picture."""

    operator: OperatorName
    """denoise (noise alone), inpaint (pixels lost), blur, super-resolution (too few pixels), mri (a part of the Fourier
    coefficients), tomography (projections from some angles)."""
    sigma_noise: float | None = None
    """White noise that is added to the measurement, in units of 1/255 of white (in tomography, of the largest
    projection); when absent 2, and for denoise what the denoiser was made for, or 15. Not with --measured."""
    keep: float = 0.5
    """Of inpaint: share of the pixels that are kept, chosen at random."""
    mask: Path | None = None
    """Of inpaint: a picture of the same size that is white where pixels are known and black where they are lost."""
    kernel: str = "gaussian"
    """Of blur: gaussian, uniform, motion, or a file with the kernel (.npy, .npz, .safetensors, or a small picture),
    which is divided by its sum. Blurs go around the edges."""
    kernel_width: float | None = None
    """Of blur, in pixels: standard deviation of gaussian (absent 1.6), side of uniform (5), length of motion (9)."""
    kernel_angle: float = 0.0
    """Of blur: direction of motion in degrees from the horizontal, counted upwards."""
    factor: int = 2
    """Of super-resolution: each measured pixel is the mean of factor x factor pixels."""
    acceleration: float = 4.0
    """Of mri: so many times fewer columns of Fourier coefficients."""
    angles: int = 60
    """Of tomography: number of directions, spread over half a turn."""

    def __post_init__(self) -> None:
        noise = self.sigma_noise
        require(noise is None or 0 <= noise <= 255, f"sigma-noise must be in [0, 255], got {noise}")
        require(0 < self.keep <= 1, f"keep must be in (0, 1], got {self.keep:g}")
        width = self.kernel_width
        require(width is None or 0 < width <= 100, f"kernel-width must be in (0, 100], got {width}")
        require(-360 <= self.kernel_angle <= 360, f"kernel-angle must be in [-360, 360], got {self.kernel_angle:g}")
        require(2 <= self.factor <= 16, f"factor must be from 2 to 16, got {self.factor}")
        require(1 <= self.acceleration <= 32, f"acceleration must be in [1, 32], got {self.acceleration:g}")
        require(1 <= self.angles <= 1000, f"angles must be from 1 to 1000, got {self.angles}")
        for field_ in fields(self):
            name, mine = field_.name, _BELONGS.get(field_.name)
            fits = mine is None or self.operator == mine or getattr(self, name) == field_.default
            require(fits, f"--{name.replace('_', '-')} goes with --operator {mine}, got --operator {self.operator}")
        require(
            self.mask is None or self.keep == 0.5, "give one of --mask and --keep: each says which pixels are known"
        )


@dataclass(frozen=True, kw_only=True)
class DenoiserConfig:
    """What knows how pictures look."""

    denoiser: str
    """Folder of a denoising run, or tv for the proximal operator of total variation."""
    denoiser_sigma: float | None = None
    """Strength of trained denoisers: the noise level, in units of 1/255, that they are used for, a quarter to four
    times that of their training, which it is when absent."""
    tv_weight: float | None = None
    """Strength of tv: its weight, higher is smoother. When absent what suits the noise of the measurement and the
    step."""
    beside: str = "none"
    """A second denoiser to compare with, in the same iteration: none, unconstrained (the net without a constraint that
    the run of --denoiser trained beside), tv, or the folder of another run."""

    def __post_init__(self) -> None:
        sigma = self.denoiser_sigma
        require(sigma is None or 0 < sigma <= 255, f"denoiser-sigma must be in (0, 255], got {sigma}")
        weight = self.tv_weight
        require(weight is None or 0 < weight <= 100, f"tv-weight must be in (0, 100], got {weight}")
        used = {"tv" if name == "tv" else "a run" for name in (self.denoiser, self.beside) if name != "none"}
        require(weight is None or "tv" in used, f"--tv-weight is the strength of tv, got --denoiser {self.denoiser}")
        require(sigma is None or "a run" in used, "--denoiser-sigma is for trained denoisers: tv has a --tv-weight")
        require(
            not (self.beside == "unconstrained" and self.denoiser == "tv"),
            "--beside unconstrained is the net that a run trained beside its denoiser, and --denoiser tv is no run",
        )


@dataclass(frozen=True, kw_only=True)
class AlgorithmConfig:
    """The iteration that makes both agree."""

    algorithm: AlgorithmName = "forward-backward"
    """Which iteration; each has its own theorem about the denoiser and the step size."""
    steps: int = 100
    """Iterations at most."""
    tolerance: float = 1e-6
    """Stop where one iteration moves by less than this share of the norm of the picture; 0 carries out all steps."""
    step_size: float | None = None
    """Step of the iteration; when absent 1 over the squared norm of the operator, which every theorem allows. A larger
    one trusts the measurement more."""
    check: Literal["refuse", "warn"] = "refuse"
    """What to do where no theorem proves that the iteration converges: refuse to run, or run and say so."""

    def __post_init__(self) -> None:
        require(1 <= self.steps <= 100_000, f"steps must be from 1 to 100000, got {self.steps}")
        require(0 <= self.tolerance < 1, f"tolerance must be in [0, 1), got {self.tolerance:g}")
        size = self.step_size
        require(size is None or 0 < size < float("inf"), f"step-size must be a positive number, got {size}")


@dataclass(frozen=True, kw_only=True)
class Config:
    """Restore a picture of your own from a measurement of it, by an iteration around a denoiser with a proven Lipschitz
    constant."""

    task: ClassVar[str] = "restoration"

    image: Path
    """Any picture file, grey or in colour: the truth, which is degraded, restored, and compared with."""
    crop: tuple[int, int, int, int] | None = None
    """Take a part of it: left, top, width and height in pixels."""
    measured: bool = False
    """The picture is itself the measurement, noisy, with lost pixels, blurred, or small: restore it as it is. There is
    no truth to compare with then."""
    seed: int = 0
    """Seed of the noise and of the lost pixels."""
    accelerator: Literal["auto", "cpu", "gpu"] = "auto"
    """Kind of device; auto takes a GPU where there is one."""
    operator: OperatorConfig
    denoiser: DenoiserConfig
    algorithm: AlgorithmConfig = field(default_factory=AlgorithmConfig)

    def __post_init__(self) -> None:
        require(0 <= self.seed < 2**63, f"seed must be in [0, 2^63), got {self.seed}")
        name = self.operator.operator
        require(
            not self.measured or name in MEASURABLE,
            f"--measured takes a picture as the measurement, and that of {name} is none: it is for "
            f"{', '.join(MEASURABLE)}",
        )
        require(
            not (self.measured and self.operator.sigma_noise is not None),
            "--sigma-noise adds noise, and --measured takes the picture as it is: set the strength by --denoiser-sigma",
        )
        require(
            not (self.measured and name == "inpaint" and self.operator.mask is None),
            "--measured --operator inpaint needs --mask FILE: which pixels are known",
        )
