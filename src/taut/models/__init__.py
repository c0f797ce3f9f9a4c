"""Networks put together from the layers of `taut.nn`, and the plain generator and discriminator of infoGAN."""

from taut.models._choices import classifier_convolutions, classifier_linears
from taut.models._unit import UnitActivity
from taut.models.activity import unit_activity
from taut.models.classifiers import ClassifierOptions, classifiers
from taut.models.convnet import convnet
from taut.models.critics import conv_critic, critic_activations, critic_convolutions, critic_linears, dense_critic
from taut.models.denoisers import conv_denoiser, plain_denoiser, starts_as_shrinkage
from taut.models.distances import distance_net
from taut.models.infogan import infogan_discriminator, infogan_generator
from taut.models.invertible import InvertibleNetwork, proven_contractions
from taut.models.lenet import lenet
from taut.models.lipconvnet import lipconvnet
from taut.models.lipnext import lipnext
from taut.models.liresnet import liresnet
from taut.models.mlp import mlp
from taut.models.resnets import resnet
from taut.models.sll import sll_network
from taut.models.standardise import Standardise

__all__ = [
    "ClassifierOptions",
    "InvertibleNetwork",
    "Standardise",
    "UnitActivity",
    "classifier_convolutions",
    "classifier_linears",
    "classifiers",
    "conv_critic",
    "conv_denoiser",
    "convnet",
    "critic_activations",
    "critic_convolutions",
    "critic_linears",
    "dense_critic",
    "distance_net",
    "infogan_discriminator",
    "infogan_generator",
    "lenet",
    "lipconvnet",
    "lipnext",
    "liresnet",
    "mlp",
    "plain_denoiser",
    "proven_contractions",
    "resnet",
    "sll_network",
    "starts_as_shrinkage",
    "unit_activity",
]
