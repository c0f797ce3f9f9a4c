"""Recipes of classifiers with proofs in the l-infinity norm."""

from dataclasses import replace

from taut.tasks.classification import Config, DataConfig, EvaluationConfig, LossConfig, ModelConfig
from taut.training.engine import EngineConfig
from taut.training.optimizers import OptimizerConfig
from taut.training.relaxation import RelaxationConfig

_K = 1000.0


def mnist_linf() -> Config:
    """MNIST in linf: 784-1024x3-10 MaxMin, rows of l1 norm at most 1, hinge with margin: half an hour on two cores."""
    return Config(
        data=DataConfig(dataset="mnist", batch_size=256),
        model=ModelConfig(width=1024, depth=3, linear="linf-projected", head="linf-projected", lipschitz=_K),
        # The hinge in units of its margin, so that the rate does not depend on K: published is 3.3e-3 for the hinge on
        # logits times K, averaged over ten classes, which is 300 / 10 times as steep.
        loss=LossConfig(loss="margin-cross-entropy", offset=0.3 * _K, cross_entropy=0.0),
        optimizer=OptimizerConfig(epochs=50, optimizer="aggmo", lr=0.1, schedule="cosine"),
        engine=EngineConfig(log_every=50, threads=2),
        evaluation=_evaluation(),
    )


def mnist_linf_standard() -> Config:
    """The network of mnist-linf with ReLU and no constraint, trained the same way: next to nothing is proven of it."""
    base = mnist_linf()
    return replace(
        base,
        model=replace(base.model, linear="linear", head="linear", activation="relu", lipschitz=1.0),
        loss=replace(base.loss, offset=1.0),
        optimizer=replace(base.optimizer, lr=3.3e-3),  # nothing holds its gradients down
    )


def mnist_linf_dist() -> Config:
    """MNIST in linf by l-infinity distances, relaxed to a smooth maximum in training: half an hour on two cores."""
    return Config(
        data=DataConfig(dataset="mnist", batch_size=256, augment_shift=1),
        model=ModelConfig(architecture="distances", width=512, depth=3, linear="linf-dist"),
        loss=LossConfig(loss="margin-cross-entropy", offset=0.4, temperature=0.1, cross_entropy=0.02),
        optimizer=OptimizerConfig(epochs=60, lr=2e-2, betas=(0.9, 0.99), schedule="cosine", warmup=0.01),
        relaxation=RelaxationConfig(p_start=8.0, p_end=60.0, p_hold=0.1, p_exact=0.05),
        engine=EngineConfig(log_every=50, threads=2),
        evaluation=replace(_evaluation(), attack_samples=500, attack_restarts=1, validate_every=5),
    )


def mnist_linf_dist_full() -> Config:
    """The published size: five layers, 5120 distances in each, l_p norms with p from 8 to 1000; hours on a GPU."""
    base = mnist_linf_dist()
    return replace(
        base,
        data=replace(base.data, batch_size=512),
        model=replace(base.model, width=5120, depth=4, relaxation="lp"),
        loss=replace(base.loss, offset=0.9),
        optimizer=replace(base.optimizer, epochs=400),
        relaxation=RelaxationConfig(p_start=8.0, p_end=1000.0, p_hold=0.125, p_exact=0.125),
    )


def _evaluation() -> EvaluationConfig:
    return EvaluationConfig(norm="linf", radii=(0.05, 0.1, 0.2, 0.3, 0.4), attack_samples=1000, fgsm=True)
