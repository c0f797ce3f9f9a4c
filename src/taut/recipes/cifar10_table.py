"""Recipes of the table of layers: as it was published, and one for a machine without a GPU."""

from dataclasses import replace

from taut.recipes.certified import cifar10_convnet
from taut.tasks.cifar10_table import Config, LayersConfig
from taut.tasks.classification import EvaluationConfig, ModelConfig
from taut.training.engine import EngineConfig
from taut.training.optimizers import OptimizerConfig


def cifar10_table() -> Config:
    """Ten kinds of certified convolutions on CIFAR-10, each for 24 hours of a GPU, beside the published numbers."""
    base = cifar10_convnet()
    return Config(
        budget="full",
        layers=LayersConfig(minutes=24 * 60.0, timed_updates=20),
        data=base.data,
        model=replace(base.model, architecture="convnet-l", convolution=ModelConfig().convolution),
        loss=base.loss,
        optimizer=replace(base.optimizer, epochs=OptimizerConfig().epochs),
        engine=base.engine,
        evaluation=EvaluationConfig(radii=base.evaluation.radii),
    )


def cifar10_table_small() -> Config:
    """The same for 2 minutes each, on a network with one convolution a stage: wants no GPU."""
    base = cifar10_table()
    return replace(
        base,
        budget="small",
        layers=LayersConfig(minutes=2.0),
        model=replace(base.model, architecture="convnet-xs", blocks=1),
        engine=EngineConfig(log_every=10, checkpoint_seconds=60.0),
        evaluation=replace(base.evaluation, attack_samples=200, attack_steps=10, attack_restarts=1),
    )
