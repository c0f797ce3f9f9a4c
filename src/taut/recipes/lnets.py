"""Classifiers of Anil, Lucas and Grosse (2019): one network, trained without, with soft and with hard constraints.

Each recipe is small as it is, for two cores; --budget full has the published sizes: 784 - 1024 x 3 - 10, batches of
128, Adam at 1e-3, divided by 10 at epochs 60, 100 and 150 of 200, the cross-entropy.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace

from taut.tasks.classification import Config, DataConfig, EvaluationConfig, LossConfig, ModelConfig
from taut.tasks.classification.regularisation import RegularisationConfig
from taut.training.engine import EngineConfig
from taut.training.optimizers import OptimizerConfig

_MILESTONES = (0.3, 0.5, 0.75)
_FEW = 1
"""Björck steps in training; the published runs have 5 to 20, and 50 in finetuning, from matrices that are not divided
by their norm and do not start orthogonal. Here five are the limit already."""


def lnets_standard() -> Config:
    """MNIST, fully connected, ReLU, no constraint: what the constrained ones are compared with."""
    return _dense(linear="linear", activation="relu")


def lnets_dropout() -> Config:
    """MNIST, fully connected, ReLU, no constraint, half of the hidden features dropped in training."""
    base = lnets_standard()
    return replace(base, model=replace(base.model, dropout=0.5))


def lnets_jacobian() -> Config:
    """MNIST, fully connected, ReLU, a penalty of the Jacobian's spectral norm: a soft constraint."""
    return replace(lnets_standard(), regularisation=RegularisationConfig(jacobian=0.05))


def lnets_bjorck() -> Config:
    """MNIST, fully connected, one Björck step in training: bounded; taut finetune RUN --orthonormal for the limit."""
    base = _dense(linear="bjorck", activation="max-min")
    return replace(base, model=replace(base.model, bjorck_steps=_FEW))


def lnets_parseval() -> Config:
    """MNIST, fully connected, brought back to orthogonal matrices after each update (Parseval)."""
    return _dense(linear="parseval", activation="max-min")


def lnets_spectral() -> Config:
    """MNIST, fully connected, divided by spectral norms: bounded, gradients shrink."""
    return _dense(linear="spectral-norm", activation="max-min")


def lnets_linf() -> Config:
    """MNIST, fully connected, rows of l1 norm at most 1: 1-Lipschitz in linf."""
    base = _dense(linear="linf", activation="max-min")
    return replace(base, evaluation=replace(base.evaluation, norm="linf", radii=(0.01, 0.03, 0.1)))


def lnets_lenet() -> Config:
    """MNIST, LeNet, ReLU, no constraint."""
    return _lenet(linear="linear", convolution="conv", activation="relu")


def lnets_lenet_bjorck() -> Config:
    """MNIST, LeNet with orthogonal convolutions and dense layers."""
    return _lenet(linear="bjorck", convolution="aoc", activation="max-min")


def lnets_small() -> Config:
    """MNIST with 100 samples of each class (--per-class 30 for fewer), LeNet, ReLU, no constraint."""
    return _few_samples(lnets_lenet())


def lnets_small_bjorck() -> Config:
    """MNIST with 100 samples of each class (--per-class 30 for fewer), LeNet with orthogonal layers."""
    return _few_samples(lnets_lenet_bjorck())


def lnets_resnet() -> Config:
    """CIFAR-10, ResNet-32, no constraint and no certificate; small is sized to be tried, not to be good."""
    return _residual("cifar-resnet-32")


def lnets_wide_resnet() -> Config:
    """CIFAR-10, WideResNet-32-10, no constraint and no certificate; a network for a GPU."""
    return _residual("wide-resnet-32")


LNETS: Mapping[str, Callable[[], Config]] = {
    "lnets-bjorck": lnets_bjorck,
    "lnets-dropout": lnets_dropout,
    "lnets-jacobian": lnets_jacobian,
    "lnets-lenet": lnets_lenet,
    "lnets-lenet-bjorck": lnets_lenet_bjorck,
    "lnets-linf": lnets_linf,
    "lnets-parseval": lnets_parseval,
    "lnets-resnet": lnets_resnet,
    "lnets-small": lnets_small,
    "lnets-small-bjorck": lnets_small_bjorck,
    "lnets-spectral": lnets_spectral,
    "lnets-standard": lnets_standard,
    "lnets-wide-resnet": lnets_wide_resnet,
}
"""The recipes of this family."""


def published(small: Callable[[], Config]) -> Callable[[], Config]:
    """The recipe of the published size."""

    def full() -> Config:
        config = small()
        width = 1024 if config.model.architecture == "mlp" else config.model.width
        return replace(
            config, model=replace(config.model, width=width), optimizer=replace(config.optimizer, epochs=200)
        )

    full.__doc__ = small.__doc__
    return full


def _dense(*, linear: str, activation: str) -> Config:
    return Config(
        data=DataConfig(dataset="mnist", batch_size=128),
        model=ModelConfig(width=256, depth=3, linear=linear, head=linear, activation=activation),
        loss=LossConfig(loss="cross-entropy"),
        optimizer=OptimizerConfig(epochs=10, lr=1e-3, schedule="step", milestones=_MILESTONES, warmup=0.0),
        engine=EngineConfig(log_every=50, threads=1),
        evaluation=EvaluationConfig(radii=(0.1, 0.3, 0.5, 1.0, 1.58)),
    )


def _lenet(*, linear: str, convolution: str, activation: str) -> Config:
    base = _dense(linear=linear, activation=activation)
    return replace(base, model=replace(base.model, architecture="lenet", convolution=convolution, width=50, depth=1))


def _few_samples(base: Config) -> Config:
    return replace(
        base,
        data=replace(base.data, batch_size=32, per_class=100),
        optimizer=replace(base.optimizer, epochs=60, milestones=(0.5, 0.75)),
        evaluation=replace(base.evaluation, validate_every=10),
    )


def _residual(architecture: str) -> Config:
    base = _dense(linear="bjorck", activation="relu")
    return replace(
        base,
        data=DataConfig(dataset="cifar10", batch_size=128, augment_shift=4),
        model=ModelConfig(architecture=architecture, head="linear", linear="linear", activation="relu"),
        optimizer=replace(base.optimizer, epochs=1),
        evaluation=replace(base.evaluation, certify=False, attack_samples=100, radii=(0.1, 0.25)),
    )
