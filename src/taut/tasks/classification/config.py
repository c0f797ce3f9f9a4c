"""Everything that can be chosen about a classification run. The field docstrings are the help of the command line."""

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

from taut import data, models
from taut.attacks import AttackLoss, Norm
from taut.data.streaming import STREAM
from taut.errors import require
from taut.tasks.classification.regularisation import RegularisationConfig
from taut.tasks.classification.start import StartConfig
from taut.tasks.classification.stream_config import StreamConfig
from taut.training.augment import Augmentation
from taut.training.engine import EngineConfig
from taut.training.optimizers import OptimizerConfig
from taut.training.relaxation import RelaxationConfig
from taut.training.updates import UpdateConfig

LossName = Literal["temperature-offset", "logit-annealing", "margin", "cross-entropy", "margin-cross-entropy", "hkr"]

if TYPE_CHECKING:
    ActivationName = str
    ArchitectureName = str
    ConvolutionName = str
    DatasetName = str
    LinearName = str
else:
    # The choices are what the rooms below export, so that a new layer or data set is offered without a line here.
    ActivationName = Literal[tuple(models.critic_activations())]
    ArchitectureName = Literal[tuple(models.classifiers())]
    ConvolutionName = Literal[(*models.classifier_convolutions(), "liresnet")]
    DatasetName = Literal[(*data.names(), STREAM)]
    LinearName = Literal[tuple(models.classifier_linears())]


@dataclass(frozen=True, kw_only=True)
class DataConfig:
    """What is classified."""

    dataset: DatasetName = "digits"
    """Data set."""
    data_root: Path | None = None
    """Folder of the data files, for data sets that are read from files; TAUT_DATA_ROOT when absent."""
    batch_size: int = 256
    """Samples per update, over all processes together."""
    augment_shift: int = 0
    """Random displacement of training pictures by up to this many pixels in each direction."""
    augment_flip: bool = False
    """Whether left and right of training pictures are exchanged, every second time."""
    augment_jitter: float = 0.0
    """Brightness, contrast and saturation of training pictures each times a random factor up to this far from 1."""
    per_class: int = 0
    """Train on so many samples of each class only; 0 takes all."""
    subset_seed: int = 0
    """Seed of the choice of --per-class; with the same one, fewer are among more."""
    index_file: Path | None = None
    """Train on the samples that this file names: .json, .npy, or text with one place a line, such as train_index.json
    of a run with --per-class."""

    def __post_init__(self) -> None:
        require(self.batch_size >= 1, f"batch-size must be at least 1, got {self.batch_size}")
        require(self.per_class >= 0, f"per-class must not be negative, got {self.per_class}")
        require(not (self.per_class and self.index_file), "give one of per-class and index-file, not both")
        require(self.augment_shift >= 0, f"augment-shift must not be negative, got {self.augment_shift}")
        require(0 <= self.augment_jitter < 1, f"augment-jitter must be in [0, 1), got {self.augment_jitter:g}")

    @property
    def augmentation(self) -> Augmentation:
        """Of training pictures that are held in memory."""
        return Augmentation(shift=self.augment_shift, flip=self.augment_flip, jitter=self.augment_jitter)


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """A classifier: hidden layers, each followed by an activation, and a linear head."""

    architecture: ArchitectureName = "mlp"
    """mlp is fully connected, distances is made of l-infinity distances (linear linf-dist or sort); the others are for
    pictures, and resnets among them have no constraint."""
    width: int | None = None
    """Features of each hidden dense layer; without it what the architecture was published with, 512 of an mlp."""
    depth: int | None = None
    """Number of hidden dense layers; without it what the architecture was published with, 3 of an mlp."""
    channels: int = 0
    """Channels of the first convolution, of architectures that have some; 0 takes the published number."""
    blocks: int = 0
    """Convolutions, or blocks, of architectures that have some, in all or in each stage; 0 takes the published
    number."""
    linear: LinearName = "bjorck"
    """Hidden dense layers; linear is torch's own, with no constraint, to compare with."""
    convolution: ConvolutionName = "aoc"
    """Convolutions, of architectures that have some; conv is torch's own, with no constraint, to compare with."""
    bjorck_steps: int = 0
    """Björck steps of dense layers called bjorck: few are quick and leave them bounded but not orthogonal, which
    `taut finetune RUN --orthonormal` mends; 0 is the limit, orthogonal at once."""
    activation: ActivationName = "max-min"
    """Activation after each hidden layer; relu is there to compare with."""
    group_size: int = 2
    """Size of the groups of activations that have groups."""
    head: LinearName = "unit-norm"
    """Last linear layer."""
    relaxation: Literal["soft", "lp"] = "soft"
    """What linf-dist layers of a network of distances are in training: soft is a smooth maximum, made of matrix
    products; lp the published l_p norm. Both tend to the same distance as p grows, see --p-start."""
    lipschitz: float = 1.0
    """Lipschitz constant of each logit, by construction where every layer is constrained."""
    inputs: Literal["as-is", "centred", "standardised"] = "as-is"
    """Subtract the mean of each channel of the training pictures, and divide by its deviation (standardised), which
    makes the network steeper: every bound, radius and loss counts it."""
    dropout: float = 0.0
    """Share of the hidden features that training sets to 0, the others grow by 1/(1 - dropout); evaluation and
    certificates have none of it."""
    tanh: bool = False
    """Put a hyperbolic tangent behind the logits, which bounds the loss; where it saturates, attacks that follow
    gradients find less than there is."""

    def __post_init__(self) -> None:
        require(0 <= self.dropout < 1, f"dropout must be in [0, 1), got {self.dropout:g}")
        require(self.channels >= 0, f"channels must not be negative, got {self.channels}")
        require(self.blocks >= 0, f"blocks must not be negative, got {self.blocks}")
        require(self.bjorck_steps >= 0, f"bjorck-steps must not be negative, got {self.bjorck_steps}")


@dataclass(frozen=True, kw_only=True)
class LossConfig:
    """What training minimises."""

    loss: LossName = "temperature-offset"
    """Cross-entropy with temperature and offset; that loss, fading for samples that are right (logit-annealing);
    multi-class hinge (margin); plain cross-entropy; the hinge divided by its margin beside a little of the
    cross-entropy of the logits divided by the temperature; or hinge and Kantorovich-Rubinstein of each class (hkr)."""
    temperature: float = 0.25
    """Temperature of the temperature-offset loss: the smaller, the nearer to a hinge."""
    offset: float = 1.5 * math.sqrt(2)
    """Margin up to which the temperature-offset loss and the hinges push, in units of the logits."""
    exponent: float = 5.0
    """Of logit-annealing: the larger, the sooner a sample is let go."""
    alpha: float = 0.98
    """Share of the hinge in hkr."""
    cross_entropy: float = 0.02
    """Weight of the cross-entropy beside the hinge in margin-cross-entropy."""
    worst_case: Literal["none", "lipschitz", "emma"] = "none"
    """Move the logits before the loss as far as they can go within --radius, by the constants of their differences:
    all the way, or each no farther than to the label's (emma)."""
    radius: float = 36 / 255
    """Of --worst-case, in input units."""

    def __post_init__(self) -> None:
        require(0 < self.temperature < math.inf, f"temperature must be a positive number, got {self.temperature:g}")
        require(math.isfinite(self.offset), f"offset must be finite, got {self.offset:g}")
        hinge = self.loss in ("margin", "margin-cross-entropy", "hkr")
        require(not hinge or self.offset > 0, f"offset must be positive for the hinge, got {self.offset:g}")
        fine = 0 <= self.cross_entropy < math.inf
        require(fine, f"cross-entropy must be a number that is not negative, got {self.cross_entropy:g}")
        fine = self.exponent == 0 or 1 <= self.exponent < math.inf
        require(fine, f"exponent must be 0 or a number of at least 1, got {self.exponent:g}")
        require(0 <= self.alpha <= 1, f"alpha must be in [0, 1], got {self.alpha:g}")
        require(0 < self.radius < math.inf, f"radius must be a positive number, got {self.radius:g}")


@dataclass(frozen=True, kw_only=True)
class EvaluationConfig:
    """What is measured on the held-out split."""

    norm: Norm = "l2"
    """Norm of radii, certificates and attacks."""
    radii: tuple[float, ...] = (0.1, 0.25, 0.5, 0.75, 1.0)
    """Radii of certified and attacked accuracy, in input units (pixels span [0, 1])."""
    attack_samples: int = 1000
    """Attack only the first so many held-out samples; 0 attacks none."""
    attack_steps: int = 20
    """Gradient steps of each attack."""
    attack_restarts: int = 2
    """Restarts of each attack, the first from the sample itself."""
    attack_loss: AttackLoss = "both"
    """What the attack climbs: minus the margin, the cross-entropy, or both in turn."""
    fgsm: bool = False
    """Attack the same samples by one gradient step of the whole radius too (FGSM): weaker, but often published."""
    certify: bool = True
    """Whether a radius is proven for each held-out sample; a network without a proof must be trained with --no-certify,
    and its result says so."""
    validate_every: int = 1
    """Epochs between two validations."""

    def __post_init__(self) -> None:
        fine = all(math.isfinite(radius) and radius > 0 for radius in self.radii)
        require(bool(self.radii) and fine, f"radii must be positive numbers, got {self.radii}")
        apart = len({f"{radius:g}" for radius in self.radii}) == len(self.radii)
        require(apart, f"radii must differ in six digits, got {self.radii}")
        require(self.attack_samples >= 0, f"attack-samples must not be negative, got {self.attack_samples}")
        require(self.attack_steps >= 1, f"attack-steps must be at least 1, got {self.attack_steps}")
        require(self.attack_restarts >= 1, f"attack-restarts must be at least 1, got {self.attack_restarts}")
        require(self.validate_every >= 1, f"validate-every must be at least 1, got {self.validate_every}")


@dataclass(frozen=True, kw_only=True)
class Config:
    """Train a classifier with a proven Lipschitz constant, certify it, and attack it."""

    task: ClassVar[str] = "classification"

    seed: int = 0
    """Seed of the initial weights, the order of the samples and the attack; not of the split."""
    data: DataConfig = field(default_factory=DataConfig)
    stream: StreamConfig = field(default_factory=StreamConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    regularisation: RegularisationConfig = field(default_factory=RegularisationConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    updates: UpdateConfig = field(default_factory=UpdateConfig)
    start: StartConfig = field(default_factory=StartConfig)
    relaxation: RelaxationConfig = field(default_factory=RelaxationConfig)
    engine: EngineConfig = field(default_factory=EngineConfig)
    evaluation: EvaluationConfig = field(default_factory=EvaluationConfig)

    def __post_init__(self) -> None:
        require(0 <= self.seed < 2**63, f"seed must be in [0, 2^63), got {self.seed}")
