r"""What is known of a Wasserstein-1 distance after looking at samples."""

from dataclasses import dataclass, field

from torch import nn


@dataclass(frozen=True, kw_only=True, eq=False)
class Wasserstein1:
    """W1 between the distributions of two samples (l2), bracketed; all numbers from samples not trained on."""

    estimate: float
    """(mean f(x) - mean f(y)) / K of the critic f, K being its proven Lipschitz constant."""
    standard_error: float
    """Of `estimate`."""
    interval: tuple[float, float]
    """Two-sided interval of what the critic shows, E f(x) - E f(y) over K, which is at most W1."""
    lower: float
    """W1 is at least this, up to sampling error at `confidence`; never negative."""
    upper: float | None
    """W1 is at most this, up to sampling error at `confidence`; None where no exact transport was computed."""
    transport: float | None
    """Exact W1 between the held-out samples, `transport_samples` of them; larger than W1 on average."""
    truth: float | None = None
    """W1 itself, for whoever knows it."""
    lipschitz_bound: float
    """K, proven in floating point."""
    train_estimate: float | None
    """The critic's mean difference over K on what it was trained on; None without training."""
    samples: tuple[int, int]
    """Held out of x and of y."""
    transport_samples: tuple[int, int] | None
    confidence: float
    critic: nn.Module = field(repr=False)
    """f, folded to plain torch modules on the CPU, in evaluation mode: takes samples as they were given."""

    def __str__(self) -> str:
        share = f"{100 * self.confidence:g} %"
        low, high = self.interval
        lines = [
            f"Wasserstein-1 distance (l2), from {self.samples[0]} and {self.samples[1]} samples not trained on",
            f"  estimate   {self.estimate:.6g} +- {self.standard_error:.2g}, critic with the proven constant "
            f"{self.lipschitz_bound:.6g}",
            f"  interval   [{low:.6g}, {high:.6g}] at {share}: what this critic shows of the distance",
            f"  lower      {self.lower:.6g}: the distance is larger, up to sampling error at {share}",
        ]
        if self.upper is None or self.transport is None or self.transport_samples is None:
            lines.append("  upper      none: no exact transport was computed (see exact=, and the package POT)")
        else:
            n, m = self.transport_samples
            lines.append(f"  upper      {self.upper:.6g}: the distance is smaller, up to sampling error at {share}")
            lines.append(f"  transport  {self.transport:.6g}, exactly, between {n} and {m} of the samples")
        if self.train_estimate is not None:
            lines.append(f"  training   {self.train_estimate:.6g}: the estimate on the samples trained on")
        if self.truth is not None:
            lines.append(f"  truth      {self.truth:.6g}")
        return "\n".join(lines)
