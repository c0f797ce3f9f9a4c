"""Recipes of certified classifiers of CIFAR-10 as they were published, each a network for a GPU."""

from collections.abc import Callable, Mapping
from dataclasses import replace

from taut.tasks.classification import Config, DataConfig, EvaluationConfig, LossConfig, ModelConfig
from taut.training.engine import EngineConfig
from taut.training.optimizers import OptimizerConfig

_RADII = (36 / 255, 72 / 255, 108 / 255, 1.0)
"""Those of the published tables, in l2."""


def cifar10_sll() -> Config:
    """SLL network on CIFAR-10, --architecture sll-small to sll-xlarge: settings as published, wants a GPU."""
    return Config(
        data=DataConfig(dataset="cifar10", batch_size=256, augment_shift=4, augment_flip=True, augment_jitter=0.25),
        model=ModelConfig(architecture="sll-small"),
        optimizer=OptimizerConfig(epochs=200, lr=1e-2, betas=(0.5, 0.9), schedule="one-cycle"),
        engine=EngineConfig(log_every=50, checkpoint_seconds=300.0),
        evaluation=EvaluationConfig(radii=_RADII, validate_every=5),
    )


def cifar10_lipconvnet() -> Config:
    """LipConvNet on CIFAR-10, any --convolution and lipconvnet-5 to -40, with certificate regularisation; for a GPU."""
    base = cifar10_sll()
    return replace(
        base,
        model=ModelConfig(architecture="lipconvnet-15", convolution="soc", activation="householder-activation"),
        loss=LossConfig(loss="cross-entropy"),
        regularisation=replace(base.regularisation, certificate=0.5),
        optimizer=OptimizerConfig(
            epochs=200, optimizer="sgd", lr=0.1, weight_decay=5e-4, schedule="step", milestones=(0.5, 0.75), warmup=0.0
        ),
    )


def cifar10_convnet() -> Config:
    """ConvNet on CIFAR-10, convnet-xs to -l with any --convolution: layers compared on one skeleton; for a GPU."""
    base = cifar10_sll()
    return replace(
        base,
        model=ModelConfig(architecture="convnet-xs", convolution="aoc", head="bjorck"),
        optimizer=OptimizerConfig(
            epochs=200, optimizer="sgd", lr=0.1, momentum=0.9, schedule="one-cycle", weight_decay=1e-5
        ),
    )


def cifar10_liresnet() -> Config:
    """LiResNet on CIFAR-10, twelve layers of 256 channels and EMMA: wants a GPU."""
    base = cifar10_sll()
    return replace(
        base,
        model=ModelConfig(architecture="liresnet", convolution="liresnet", linear="cholesky"),
        loss=LossConfig(loss="cross-entropy", worst_case="emma", radius=108 / 255),
        optimizer=OptimizerConfig(epochs=200, optimizer="adam", lr=1e-3, lookahead=5, warmup=0.05),
    )


def cifar10_bronet() -> Config:
    """BRONet on CIFAR-10, twelve layers of 384 channels, EMMA and logit annealing: wants a GPU."""
    base = cifar10_liresnet()
    return replace(
        base,
        model=ModelConfig(architecture="liresnet", convolution="bro", linear="bro", channels=384),
        loss=replace(base.loss, loss="logit-annealing", temperature=0.75, offset=2.0, exponent=5.0),
    )


def cifar10_lipnext() -> Config:
    """LipNeXt on CIFAR-10, 32 blocks of 1024 channels on the manifold of orthogonal matrices: wants a GPU."""
    base = cifar10_liresnet()
    return replace(base, model=ModelConfig(architecture="lipnext", linear="manifold"))


def cifar10_fast() -> Config:
    """The highest certified accuracy at 36/255 on CIFAR-10 in 20 minutes of two CPU cores; --budget full: for a GPU."""
    base = cifar10_sll()
    return replace(
        base,
        data=DataConfig(dataset="cifar10", batch_size=128, augment_shift=1, augment_flip=True),
        model=ModelConfig(
            architecture="liresnet", convolution="aoc", channels=64, blocks=2, linear="cholesky", width=512, depth=1
        ),
        loss=LossConfig(temperature=0.25, offset=0.7),
        optimizer=OptimizerConfig(epochs=12, lr=1.5e-2, betas=(0.9, 0.99), schedule="linear", warmup=0.15),
        engine=EngineConfig(log_every=50, threads=2),
        evaluation=EvaluationConfig(radii=_RADII, attack_samples=500, validate_every=2),
    )


def cifar10_fast_gpu() -> Config:
    """The same skeleton, wider, for one GPU in bfloat16."""
    base = cifar10_fast()
    return replace(
        base,
        data=replace(base.data, batch_size=512),
        model=replace(base.model, channels=128, blocks=8, width=1024, depth=2),
        optimizer=replace(base.optimizer, epochs=80, lr=1e-2),
        engine=EngineConfig(log_every=50, precision="bf16-mixed"),
        evaluation=replace(base.evaluation, validate_every=10),
    )


CERTIFIED: Mapping[str, Callable[[], Config]] = {
    "cifar10-bronet": cifar10_bronet,
    "cifar10-convnet": cifar10_convnet,
    "cifar10-fast": cifar10_fast,
    "cifar10-lipconvnet": cifar10_lipconvnet,
    "cifar10-lipnext": cifar10_lipnext,
    "cifar10-liresnet": cifar10_liresnet,
    "cifar10-sll": cifar10_sll,
}
"""The recipes of this file."""
