"""Recipes of the classification task. A variant is another recipe with a few fields replaced."""

from dataclasses import replace

from taut.tasks.classification import Config, DataConfig, EvaluationConfig, LossConfig, ModelConfig
from taut.training.engine import EngineConfig
from taut.training.optimizers import OptimizerConfig


def digits() -> Config:
    """1-Lipschitz network on scikit-learn's 8x8 digits: no download, about a minute on two cores."""
    return Config(
        data=DataConfig(dataset="digits", batch_size=64),
        model=ModelConfig(width=256, depth=3, linear="cholesky"),
        loss=LossConfig(temperature=0.12, offset=1.0),
        optimizer=OptimizerConfig(epochs=100, lr=5e-2, betas=(0.9, 0.99), warmup=0.1),
        engine=EngineConfig(log_every=10, threads=1),  # matrices so small that a second thread costs more than it gives
        evaluation=EvaluationConfig(radii=(0.1, 0.25, 0.5, 0.75, 1.0), validate_every=5),
    )


def mnist() -> Config:
    """1-Lipschitz network on MNIST, from its four idx files: under ten minutes on two cores."""
    return Config(
        data=DataConfig(dataset="mnist", batch_size=512, augment_shift=1),
        model=ModelConfig(width=512, depth=3, linear="cholesky"),
        loss=LossConfig(temperature=0.15, offset=1.2),
        optimizer=OptimizerConfig(epochs=16, lr=2e-2, warmup=0.1),
        engine=EngineConfig(log_every=50, threads=1),  # a second thread gains nothing at this width
        evaluation=EvaluationConfig(radii=(0.1, 0.3, 0.5, 1.0, 1.58), attack_samples=1000),
    )


def mnist_wide_margin() -> Config:
    """MNIST with a larger margin asked for: certified further out, less accurate near 0."""
    base = mnist()
    return replace(
        base,
        data=replace(base.data, augment_shift=0),
        loss=replace(base.loss, temperature=0.25, offset=2.5),
    )


def fashion_mnist() -> Config:
    """1-Lipschitz network on Fashion-MNIST, from its four idx files."""
    base = mnist()
    return replace(base, data=replace(base.data, dataset="fashion-mnist"))
