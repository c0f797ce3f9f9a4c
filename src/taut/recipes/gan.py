"""Recipes of the GAN task."""

from dataclasses import replace

from taut.tasks.gan import Config, CriticConfig, DataConfig, EvaluationConfig, GanConfig
from taut.training.engine import EngineConfig
from taut.training.optimizers import OptimizerConfig


def gan() -> Config:
    """GAN on MNIST or another set of pictures; --gan-type wgan, wgan-gp or lwgan: a quarter of an hour on two cores."""
    return Config(
        data=DataConfig(dataset="mnist", batch_size=64),
        gan=GanConfig(gan_type="lwgan", generator_width=32, discriminator_width=32),
        critic=CriticConfig(critic="dense", width=256, depth=3),
        optimizer=OptimizerConfig(
            epochs=12, optimizer="adam", lr=5e-4, betas=(0.5, 0.999), schedule="constant", warmup=0.0, ema=0.999
        ),
        engine=EngineConfig(log_every=20),
    )


def gan_digits() -> Config:
    """GAN on scikit-learn's 8x8 digits: no download, about a minute on two cores."""
    base = gan()
    return replace(
        base,
        data=replace(base.data, dataset="digits", batch_size=32),
        gan=replace(base.gan, generator_width=16, discriminator_width=16),
        critic=replace(base.critic, width=128, depth=2),
        optimizer=replace(base.optimizer, epochs=120, lr=1e-3),
        evaluation=EvaluationConfig(sample_every=10, samples=400, transport_samples=400),
    )
