"""Losses of margin-based training, of Wasserstein GANs, and between samples, as plain functions of tensors."""

from taut.losses.margin import (
    cross_entropy_with_hinge,
    hkr_loss,
    kr_loss,
    margin_loss,
    temperature_offset_cross_entropy,
)
from taut.losses.mmd import mmd
from taut.losses.wasserstein import clip_weights_, critic_loss, generator_loss, gradient_penalty

__all__ = [
    "clip_weights_",
    "critic_loss",
    "cross_entropy_with_hinge",
    "generator_loss",
    "gradient_penalty",
    "hkr_loss",
    "kr_loss",
    "margin_loss",
    "mmd",
    "temperature_offset_cross_entropy",
]
