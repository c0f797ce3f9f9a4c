"""What training adds to the loss of a classifier, or puts in the place of its samples: options, and the checks of them.

Nothing here is proven of the network that comes out; its certificate is what it is without them.
"""

import math
from dataclasses import dataclass, fields
from typing import Literal

from taut.attacks import Norm
from taut.errors import require

GradientNorm = Literal["l1", "l2", "linf"]


@dataclass(frozen=True, kw_only=True)
class RegularisationConfig:
    """Penalties and adversarial training; nothing of them is proven of the trained network."""

    lip: float = 0.0
    """Weight of the Lipschitz penalty: the largest l2 norm in the batch of the gradient of a sample's loss with respect
    to the sample (with several processes, the mean of the maxima of each); published runs have 0.1."""
    finite_difference: float = 0.0
    """Weight of the gradient penalty by finite differences: half the mean squared slope of the loss in its steepest
    direction, without a second derivative; published runs have 0.1."""
    finite_difference_norm: GradientNorm = "l2"
    """Norm of the gradient that it penalises; the step has length --finite-difference-step in the dual norm."""
    finite_difference_step: float = 0.01
    """Length of its step, in input units."""
    finite_difference_kind: Literal["forward", "central"] = "forward"
    """Difference from the sample, or between two points around it."""
    jacobian: float = 0.0
    """Weight of the mean spectral norm of the Jacobian of the logits, by power iteration."""
    jacobian_steps: int = 5
    """Steps of that power iteration."""
    wgan_gp: float = 0.0
    """Weight of the two-sided penalty of WGANs, on each sample's own logit: its gradient between two samples of the
    batch is to have the l2 norm --wgan-gp-target."""
    wgan_gp_target: float = 1.0
    """Norm that this penalty asks for."""
    orthogonality: float = 0.0
    """Weight of the sum over the layers of ||W W^T - I||_F^2, convolutions as operators."""
    certificate: float = 0.0
    """Weight of the mean certified radius of the batch, as it is if all layers but the last are exactly 1-Lipschitz;
    published runs have 0.5."""
    j1: float = 0.0
    """Train on x + J1 sign(g), g the gradient of the sample's loss (penalises its l1 norm); length in linf."""
    j2: float = 0.0
    """Train on x + J2 g / ||g||_2 (penalises the l2 norm of the gradient); length in l2."""
    jinf: float = 0.0
    """Train on x + JINF on the entry of the largest gradient (penalises its linf norm)."""
    pgd: float = 0.0
    """Train on the last point of projected gradient ascent in the ball of this radius."""
    pgd_norm: Norm = "linf"
    """Norm of that ball."""
    pgd_steps: int = 7
    """Steps of that ascent; each has the length 2.5 radius / steps."""
    trades: float = 0.0
    """Weight of the divergence of TRADES between the predictions for a sample and for the point within --pgd where they
    differ most: beside the loss of the sample, instead of that of the point; published runs have 6."""
    clean_share: float = 0.0
    """Share of the samples themselves in the loss of adversarial training: 0 trains on the moved points alone."""

    def __post_init__(self) -> None:
        for field in fields(self):
            value, name = getattr(self, field.name), field.name.replace("_", "-")
            if isinstance(value, float):
                require(0 <= value < math.inf, f"{name} must be a number that is not negative, got {value:g}")
        for name in ("jacobian_steps", "pgd_steps"):
            value = getattr(self, name)
            require(value >= 1, f"{name.replace('_', '-')} must be at least 1, got {value}")
        step = self.finite_difference_step
        require(step > 0, f"finite-difference-step must be positive, got {step:g}")
        require(self.clean_share < 1, f"clean-share must be in [0, 1), got {self.clean_share:g}")
        self._check_adversary()

    @property
    def adversary(self) -> str | None:
        """Which of j1, j2, jinf and pgd moves the samples; None where none does."""
        return next((name for name in ("j1", "j2", "jinf", "pgd") if getattr(self, name)), None)

    @property
    def active(self) -> bool:
        """Whether anything is asked for."""
        penalties = ("lip", "finite_difference", "jacobian", "wgan_gp", "orthogonality", "certificate")
        return self.adversary is not None or any(getattr(self, name) for name in penalties)

    def _check_adversary(self) -> None:
        given = [name for name in ("j1", "j2", "jinf", "pgd") if getattr(self, name)]
        require(len(given) <= 1, f"give one of j1, j2, jinf and pgd, got {' and '.join(given)}")
        require(not self.trades or self.pgd > 0, "trades needs the radius of its search: give --pgd as well")
        require(
            not (self.trades and self.clean_share), "clean-share is not for trades, which has the samples' own loss"
        )
        require(
            not self.clean_share or bool(given), "clean-share is for adversarial training: give j1, j2, jinf or pgd"
        )
