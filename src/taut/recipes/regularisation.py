"""Recipes of regularised classifiers: any architecture and data set by option, and the published combination."""

from dataclasses import replace

from taut.tasks.classification import (
    Config,
    DataConfig,
    EvaluationConfig,
    LossConfig,
    ModelConfig,
    RegularisationConfig,
)
from taut.training.engine import EngineConfig
from taut.training.optimizers import OptimizerConfig


def classify() -> Config:
    """Any classifier, a standard ReLU network without options: choose data, network, penalties and adversaries."""
    return Config(
        data=DataConfig(dataset="digits", batch_size=128),
        model=ModelConfig(width=256, depth=2, linear="linear", activation="relu", head="linear"),
        loss=LossConfig(loss="cross-entropy"),
        optimizer=OptimizerConfig(epochs=20, lr=2e-3),
        engine=EngineConfig(log_every=50),
    )


def cifar10_lipschitz_loss() -> Config:
    """CIFAR-10 with tanh, weight decay, Lipschitz penalty and J2 as published, on a ResNeXt-29; wants a GPU."""
    base = classify()
    return replace(
        base,
        data=DataConfig(dataset="cifar10", batch_size=128, augment_shift=4),
        model=replace(base.model, architecture="cifar-resnext-29", convolution="conv", tanh=True),
        optimizer=OptimizerConfig(
            epochs=200,
            optimizer="sgd",
            lr=0.1,
            momentum=0.9,
            weight_decay=5e-4,
            schedule="step",
            milestones=(0.3, 0.6, 0.8),
            schedule_factor=0.2,
            warmup=0.0,
        ),
        regularisation=RegularisationConfig(lip=0.1, j2=0.01),
        evaluation=EvaluationConfig(radii=(0.05, 0.1, 0.25), certify=False),
    )
