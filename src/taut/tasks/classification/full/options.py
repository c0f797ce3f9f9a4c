"""What can be chosen of a full evaluation."""

from dataclasses import dataclass

from taut.attacks import ATTACKS, METHODS
from taut.errors import require


@dataclass(frozen=True, kw_only=True)
class FullOptions:
    """Numbers of samples, and how the nearest misclassified point is looked for."""

    samples: int = 0
    """The first so many held-out samples; 0 for all."""
    gradient_samples: int = 500
    """Of these, the first so many get what needs many gradients: Jacobians, curvature, the attack."""
    attack: str = "fab"
    """An attack that looks for the nearest misclassified point."""
    attack_steps: int = 30
    """Its steps."""
    lanczos_steps: int = 10
    """Products with the Hessian for each sample."""
    seed: int = 0
    """Of the attack, of the search for a steep pair and of the start of Lanczos."""

    def __post_init__(self) -> None:
        require(self.samples >= 0, f"samples must not be negative, got {self.samples}")
        require(self.gradient_samples >= 1, f"gradient-samples must be at least 1, got {self.gradient_samples}")
        fine = self.attack in METHODS and METHODS[self.attack].minimal
        nearest = ", ".join(name for name in ATTACKS if METHODS[name].minimal)
        require(fine, f"attack must be one that looks for the nearest point ({nearest}), got {self.attack!r}")
        require(self.attack_steps >= 1, f"attack-steps must be at least 1, got {self.attack_steps}")
        require(self.lanczos_steps >= 1, f"lanczos-steps must be at least 1, got {self.lanczos_steps}")
