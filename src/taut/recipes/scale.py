"""Recipes of residual networks on streamed pictures: CIFAR-10 from its parquet files, and ImageNet."""

from dataclasses import replace

from taut.tasks.classification import Config, DataConfig, EvaluationConfig, LossConfig, ModelConfig
from taut.tasks.classification.regularisation import RegularisationConfig
from taut.tasks.classification.stream_config import StreamConfig
from taut.training.engine import EngineConfig
from taut.training.optimizers import OptimizerConfig

_PLAIN = ModelConfig(activation="relu", linear="linear", convolution="conv", head="linear")
_STREAM = "image-stream"


def cifar10_resnet() -> Config:
    """ResNet-32 on CIFAR-10 with a penalty of its gradients, streamed from --data-root: wants a GPU, proves nothing."""
    return Config(
        data=DataConfig(dataset=_STREAM, batch_size=128),
        stream=StreamConfig(phases="0:32", augmentation="shift"),
        model=replace(_PLAIN, architecture="cifar-resnet-32"),
        loss=LossConfig(loss="cross-entropy"),
        regularisation=RegularisationConfig(finite_difference=0.1),
        optimizer=OptimizerConfig(
            epochs=200,
            optimizer="nesterov",
            lr=0.1,
            weight_decay=5e-4,
            schedule="step",
            milestones=(0.3, 0.6, 0.8),
            schedule_factor=0.2,
            warmup=0.0,
        ),
        engine=EngineConfig(log_every=50),
        evaluation=EvaluationConfig(certify=False, radii=(0.1, 0.25, 0.5)),
    )


def imagenet_resnet50() -> Config:
    """ResNet-50 on ImageNet in --data-root, in phases of resolution, 90 epochs: wants several GPUs, proves nothing."""
    return Config(
        data=DataConfig(dataset=_STREAM, batch_size=256),
        stream=StreamConfig(
            phases="0:128:512,0.4:224:256",
            augmentation="crop",
            workers=8,
            channels_last=True,
            validation_pictures=10000,
        ),
        model=replace(_PLAIN, architecture="resnet-50"),
        loss=LossConfig(loss="cross-entropy"),
        # Pictures in [0, 1] have a deviation of about .226: this is 0.1 for pictures that are divided by it, as usual.
        regularisation=RegularisationConfig(finite_difference=0.005),
        optimizer=OptimizerConfig(
            epochs=90,
            optimizer="nesterov",
            lr=0.2,
            weight_decay=1e-4,
            schedule="step",
            milestones=(1 / 3, 2 / 3, 8 / 9),
            schedule_factor=0.1,
            warmup=5 / 90,
        ),
        engine=EngineConfig(log_every=50, precision="bf16-mixed", checkpoint_seconds=600.0),
        evaluation=EvaluationConfig(certify=False, radii=(0.25, 0.5, 1.0), attack_samples=500),
    )
