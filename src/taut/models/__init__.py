"""Networks put together from the layers of `taut.nn`, and the plain generator and discriminator of infoGAN."""

from taut.models.critics import conv_critic, critic_activations, critic_convolutions, critic_linears, dense_critic
from taut.models.denoisers import conv_denoiser, plain_denoiser
from taut.models.infogan import infogan_discriminator, infogan_generator
from taut.models.invertible import InvertibleNetwork, proven_contractions
from taut.models.mlp import mlp

__all__ = [
    "InvertibleNetwork",
    "conv_critic",
    "conv_denoiser",
    "critic_activations",
    "critic_convolutions",
    "critic_linears",
    "dense_critic",
    "infogan_discriminator",
    "infogan_generator",
    "mlp",
    "plain_denoiser",
    "proven_contractions",
]
