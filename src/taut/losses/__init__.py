"""Losses of margin-based training, of Wasserstein GANs, and between samples, and regularisers: plain functions."""

from taut.losses.adversarial import prediction_divergence, single_step, trades_loss
from taut.losses.certificate import certificate_regularisation
from taut.losses.input_gradient import (
    GRADIENT_NORMS,
    finite_difference_penalty,
    input_gradient,
    lipschitz_penalty,
    steepest_direction,
)
from taut.losses.jacobian import jacobian_norm_estimate, jacobian_penalty
from taut.losses.lipschitz_margin import emma_logits, pair_constants, worst_case_logits
from taut.losses.margin import (
    cross_entropy_with_hinge,
    hkr_loss,
    kr_loss,
    logit_annealing_loss,
    margin_loss,
    multiclass_hkr_loss,
    temperature_offset_cross_entropy,
)
from taut.losses.mmd import mmd
from taut.losses.orthogonality import kernel_orthogonality, matrix_orthogonality, orthogonality_penalty
from taut.losses.wasserstein import clip_weights_, critic_loss, generator_loss, gradient_penalty

__all__ = [
    "GRADIENT_NORMS",
    "certificate_regularisation",
    "clip_weights_",
    "critic_loss",
    "cross_entropy_with_hinge",
    "emma_logits",
    "finite_difference_penalty",
    "generator_loss",
    "gradient_penalty",
    "hkr_loss",
    "input_gradient",
    "jacobian_norm_estimate",
    "jacobian_penalty",
    "kernel_orthogonality",
    "kr_loss",
    "lipschitz_penalty",
    "logit_annealing_loss",
    "margin_loss",
    "matrix_orthogonality",
    "mmd",
    "multiclass_hkr_loss",
    "orthogonality_penalty",
    "pair_constants",
    "prediction_divergence",
    "single_step",
    "steepest_direction",
    "temperature_offset_cross_entropy",
    "trades_loss",
    "worst_case_logits",
]
