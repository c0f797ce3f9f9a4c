"""Everything that can be chosen about a denoiser; field docstrings are the help."""

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Literal

from taut.data.images import image_names
from taut.errors import require
from taut.tasks.critic import ActivationName, ConvolutionName
from taut.training.engine import EngineConfig
from taut.training.optimizers import OptimizerConfig

_LARGEST_SIGMA = 255.0


@dataclass(frozen=True, kw_only=True)
class DataConfig:
    """Pictures, and the noise that is put on them."""

    dataset: Literal["bsd", "photographs", "image-sets"] = "bsd"
    """bsd: 400 grey pictures to train on, BSD68 and Set12 held out; photographs: those that scikit-image brings, no
    download; image-sets: the folders train and test below --data-root."""
    data_root: Path | None = None
    """Folder of the pictures, or one that holds the folder bsd or image-sets; TAUT_DATA_ROOT when absent."""
    channels: Literal[1, 3] = 1
    """1 makes coloured pictures grey; 3 gives grey ones three equal channels."""
    sigma: float = 15.0
    """Standard deviation of the noise, in units of 1/255."""
    patch_size: int = 40
    """Side of the squares that are cut out of training pictures, each turned and mirrored at random."""
    batch_size: int = 16
    """Patches per update, over all processes together."""
    steps_per_epoch: int = 100
    """Updates that the schedule and the log count as an epoch."""

    def __post_init__(self) -> None:
        assert self.dataset in image_names()
        require(0 < self.sigma <= _LARGEST_SIGMA, f"sigma must be in (0, 255], in units of 1/255, got {self.sigma:g}")
        require(self.patch_size >= 8, f"patch-size must be at least 8, got {self.patch_size}")
        require(self.batch_size >= 1, f"batch-size must be at least 1, got {self.batch_size}")
        require(self.steps_per_epoch >= 1, f"steps-per-epoch must be at least 1, got {self.steps_per_epoch}")


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """D(y) = (1 - averaging) y + averaging N(y), N a 1-Lipschitz (l2) chain of 3 x 3 convolutions."""

    averaging: float = 0.5
    """Weight of N; below 1 D is averaged, which plug-and-play iterations ask for, 1 is N itself."""
    width: int = 32
    """Output channels of every convolution but the last."""
    depth: int = 6
    """Number of convolutions."""
    convolution: ConvolutionName = "aoc"
    """Convolutions."""
    activation: ActivationName = "max-min"
    """Activation after each convolution but the last."""
    group_size: int = 2
    """Size of the groups of activations that have groups."""
    knots: int = 51
    """Knots of linear splines."""
    spline_range: float = 0.1
    """Half the range of the knots of linear splines."""
    padding_mode: Literal["circular", "zeros"] = "circular"
    """What convolutions see beyond the border; some know one of them only."""
    downsampling: int = 1
    """Side of the blocks of pixels that are made channels before the first convolution: 2 costs a fourth and sees
    twice as far; pictures whose sides it does not divide get rows and columns of zeros, cut off again."""
    threshold: float = 0.0
    """In units of sigma: the network starts as soft thresholding of filter responses at so much; 0 starts at random,
    as do other activations than n-activation and linear-spline, odd depths, and convolutions without a kernel that can
    be set (bro, cayley, cpl, sandwich, sll, soc, svcm)."""

    def __post_init__(self) -> None:
        require(0 < self.averaging <= 1, f"averaging must be in (0, 1], got {self.averaging:g}")
        require(self.downsampling >= 1, f"downsampling must be at least 1, got {self.downsampling}")
        fine = math.isfinite(self.threshold) and self.threshold >= 0
        require(fine, f"threshold must be a finite number that is not negative, got {self.threshold:g}")
        knots, half = self.knots, self.spline_range
        require(knots >= 2, f"knots must be at least 2, got {knots}")
        require(math.isfinite(half) and half > 0, f"spline-range must be a positive number, got {half:g}")


@dataclass(frozen=True, kw_only=True)
class EvaluationConfig:
    """What is measured, and what it is compared with."""

    beside: Literal["unconstrained", "none"] = "unconstrained"
    """Train the same net with ReLU and nothing constrained beside, on the same patches, to compare with."""
    unconstrained_lr: float = 1e-3
    """Peak learning rate of that net; its schedule is the other's."""
    validate_every: int = 10
    """Epochs between two looks at a few held-out pictures."""
    test_pictures: int = 0
    """Pictures of each held-out set that are measured at the end, the first ones; 0 measures all."""

    def __post_init__(self) -> None:
        require(
            math.isfinite(self.unconstrained_lr) and self.unconstrained_lr > 0,
            f"unconstrained-lr must be a positive number, got {self.unconstrained_lr:g}",
        )
        require(self.validate_every >= 1, f"validate-every must be at least 1, got {self.validate_every}")
        require(self.test_pictures >= 0, f"test-pictures must not be negative, got {self.test_pictures}")


@dataclass(frozen=True, kw_only=True)
class Config:
    """Train a denoiser with a proven Lipschitz constant on patches of pictures, and measure it on whole ones."""

    task: ClassVar[str] = "denoising"

    seed: int = 0
    """Seed of the initial weights, the patches and their noise; the noise on held-out pictures is always the same."""
    data: DataConfig = field(default_factory=DataConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    engine: EngineConfig = field(default_factory=EngineConfig)
    evaluation: EvaluationConfig = field(default_factory=EvaluationConfig)

    def __post_init__(self) -> None:
        require(0 <= self.seed < 2**63, f"seed must be in [0, 2^63), got {self.seed}")
        require(
            self.data.patch_size % self.model.downsampling == 0,
            f"patch-size must be a multiple of downsampling, {self.model.downsampling}, got {self.data.patch_size}",
        )
