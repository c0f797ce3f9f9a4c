"""Recipes of the Wasserstein task: three distances that are known, and any other."""

from taut.tasks.wasserstein import Config, CriticConfig, DistributionsConfig, EvaluationConfig
from taut.training.engine import EngineConfig
from taut.training.optimizers import OptimizerConfig

_ONE_THREAD = EngineConfig(log_every=50, threads=1)  # matrices so small that a second thread costs more than it gives


def absolute_value() -> Config:
    """Distance 1 between a point and the two points beside it: the critic learns the absolute value."""
    return Config(
        distributions=DistributionsConfig(p="shells([[0.0]], radius=1)", q="points([[0.0]])", batch_size=32),
        critic=CriticConfig(width=128, depth=2),
        optimizer=OptimizerConfig(epochs=10, optimizer="aggmo", lr=0.01),
        engine=_ONE_THREAD,
        evaluation=EvaluationConfig(beside="relu"),
    )


def three_cones() -> Config:
    """Distance 1 between three points and the circles about them: the critic learns three cones."""
    centres = "[[-2.0, 0.0], [0.0, 0.0], [2.0, 0.0]]"
    return Config(
        distributions=DistributionsConfig(p=f"shells({centres}, radius=1)", q=f"points({centres})"),
        critic=CriticConfig(width=128, depth=3, activation="group-sort", group_size=8),
        optimizer=OptimizerConfig(epochs=40, optimizer="aggmo", lr=0.05),
        engine=_ONE_THREAD,
        evaluation=EvaluationConfig(beside="relu"),
    )


def high_dim_cone() -> Config:
    """Distance 1 between a point and the sphere about it in 128 dimensions: the critic learns a cone."""
    return Config(
        distributions=DistributionsConfig(p="shells([[0.0] * 128], radius=1)", q="points([[0.0] * 128])"),
        critic=CriticConfig(width=128, depth=3, activation="full-sort"),
        optimizer=OptimizerConfig(epochs=25, optimizer="aggmo", lr=0.01),
        engine=_ONE_THREAD,
        evaluation=EvaluationConfig(beside="relu"),
    )


def wasserstein() -> Config:
    """Distance between any two distributions: --p and --q take shapes, data sets, files, samplers and GAN runs."""
    return Config(
        critic=CriticConfig(width=256, depth=3),
        optimizer=OptimizerConfig(epochs=20, optimizer="aggmo", lr=0.03),
        engine=EngineConfig(log_every=50),
    )
