"""Layers with a strict Lipschitz constant, as torch modules. Every class states its norm and its guarantee."""

from taut.nn.activation.householder import HouseholderActivation
from taut.nn.activation.linear_spline import LinearSpline
from taut.nn.activation.lipschitz_prelu import LipschitzPReLU
from taut.nn.activation.n_activation import NActivation
from taut.nn.activation.smooth import ConcatReLU, Smooth, SmoothMaxMin
from taut.nn.activation.sorts import Abs, FullSort, GroupSort, MaxMin, MaxOut
from taut.nn.composition.attention import L2Attention, L2SelfAttention
from taut.nn.composition.branches import Average, Concatenation, Parallel
from taut.nn.composition.invertible import InvertibleResidual
from taut.nn.composition.lipnext import LipNeXtBlock
from taut.nn.composition.liresnet import LiResNetConv2d
from taut.nn.composition.residual import ConvexResidual, Residual, ScaledResidual
from taut.nn.composition.scale import Scale
from taut.nn.composition.sequential import Sequential
from taut.nn.constants import constant, recognise
from taut.nn.conv.aoc import AOCConv2d, AOCKernel
from taut.nn.conv.aoc_transposed import AOCConvTranspose2d
from taut.nn.conv.aol import AOLConv1d, AOLConv2d, AOLKernel
from taut.nn.conv.bcop import BCOPConv2d, BCOPKernel
from taut.nn.conv.bro import BROConv2d
from taut.nn.conv.cayley import CayleyConv2d
from taut.nn.conv.cpl import CPLConv2d
from taut.nn.conv.linf import LInfConv2d, LInfKernel
from taut.nn.conv.ossn import OSSNConv2d, OSSNKernel
from taut.nn.conv.rk_l2ne import RKL2NEConv2d, RKL2NEKernel
from taut.nn.conv.rko import RKOConv1d, RKOConv2d, RKOConv3d, RKOKernel
from taut.nn.conv.rko_transposed import RKOConvTranspose1d, RKOConvTranspose2d, RKOConvTranspose3d
from taut.nn.conv.sandwich import SandwichConv2d
from taut.nn.conv.sll import SLLConv2d
from taut.nn.conv.soc import SOCConv2d
from taut.nn.conv.spectral_norm import (
    SpectralNormConv1d,
    SpectralNormConv2d,
    SpectralNormConv3d,
    SpectralNormKernel,
)
from taut.nn.conv.svcm import SVCMConv2d
from taut.nn.conversion.fold import fold
from taut.nn.conversion.foreign import load_foreign
from taut.nn.conversion.plain_weights import load_plain
from taut.nn.dense.aol import AOL, AOLLinear
from taut.nn.dense.bjorck import Bjorck, BjorckLinear
from taut.nn.dense.bro import BRO, BROLinear
from taut.nn.dense.cayley import Cayley, CayleyLinear
from taut.nn.dense.cholesky import Cholesky, CholeskyLinear
from taut.nn.dense.cpl import CPLLinear
from taut.nn.dense.exponential import Exp, ExpLinear
from taut.nn.dense.frobenius import Frobenius, FrobeniusLinear
from taut.nn.dense.householder import Householder, HouseholderLinear
from taut.nn.dense.linf import LInf, LInfLinear
from taut.nn.dense.linf_dist import LInfDistLinear
from taut.nn.dense.linf_projected import LInfProjectedLinear
from taut.nn.dense.manifold import ManifoldLinear
from taut.nn.dense.parseval import ParsevalLinear
from taut.nn.dense.qr import QR, QRLinear
from taut.nn.dense.sandwich import SandwichLinear
from taut.nn.dense.sll import SLLLinear
from taut.nn.dense.sort_neuron import SortLinear
from taut.nn.dense.spectral_norm import SpectralNorm, SpectralNormLinear
from taut.nn.dense.unit_norm import UnitNorm, UnitNormLinear
from taut.nn.normalisation.act_norm import ActNorm
from taut.nn.normalisation.batch_lip_norm import BatchLipNorm
from taut.nn.normalisation.centering import BatchCentering, LayerCentering
from taut.nn.pooling.average import ScaledAvgPool1d, ScaledAvgPool2d
from taut.nn.pooling.channels import ChannelPad, ChannelPool
from taut.nn.pooling.euclidean import L2NormPool2d
from taut.nn.pooling.maximum import MaxPool1d, MaxPool2d
from taut.nn.pooling.pixels import InvertibleDownsampling, InvertibleUpsampling
from taut.nn.pooling.whole import GlobalAvgPool, GlobalL2NormPool, GlobalMaxPool

__all__ = [
    "AOL",
    "BRO",
    "QR",
    "AOCConv2d",
    "AOCConvTranspose2d",
    "AOCKernel",
    "AOLConv1d",
    "AOLConv2d",
    "AOLKernel",
    "AOLLinear",
    "Abs",
    "ActNorm",
    "Average",
    "BCOPConv2d",
    "BCOPKernel",
    "BROConv2d",
    "BROLinear",
    "BatchCentering",
    "BatchLipNorm",
    "Bjorck",
    "BjorckLinear",
    "CPLConv2d",
    "CPLLinear",
    "Cayley",
    "CayleyConv2d",
    "CayleyLinear",
    "ChannelPad",
    "ChannelPool",
    "Cholesky",
    "CholeskyLinear",
    "ConcatReLU",
    "Concatenation",
    "ConvexResidual",
    "Exp",
    "ExpLinear",
    "Frobenius",
    "FrobeniusLinear",
    "FullSort",
    "GlobalAvgPool",
    "GlobalL2NormPool",
    "GlobalMaxPool",
    "GroupSort",
    "Householder",
    "HouseholderActivation",
    "HouseholderLinear",
    "InvertibleDownsampling",
    "InvertibleResidual",
    "InvertibleUpsampling",
    "L2Attention",
    "L2NormPool2d",
    "L2SelfAttention",
    "LInf",
    "LInfConv2d",
    "LInfDistLinear",
    "LInfKernel",
    "LInfLinear",
    "LInfProjectedLinear",
    "LayerCentering",
    "LiResNetConv2d",
    "LinearSpline",
    "LipNeXtBlock",
    "LipschitzPReLU",
    "ManifoldLinear",
    "MaxMin",
    "MaxOut",
    "MaxPool1d",
    "MaxPool2d",
    "NActivation",
    "OSSNConv2d",
    "OSSNKernel",
    "Parallel",
    "ParsevalLinear",
    "QRLinear",
    "RKL2NEConv2d",
    "RKL2NEKernel",
    "RKOConv1d",
    "RKOConv2d",
    "RKOConv3d",
    "RKOConvTranspose1d",
    "RKOConvTranspose2d",
    "RKOConvTranspose3d",
    "RKOKernel",
    "Residual",
    "SLLConv2d",
    "SLLLinear",
    "SOCConv2d",
    "SVCMConv2d",
    "SandwichConv2d",
    "SandwichLinear",
    "Scale",
    "ScaledAvgPool1d",
    "ScaledAvgPool2d",
    "ScaledResidual",
    "Sequential",
    "Smooth",
    "SmoothMaxMin",
    "SortLinear",
    "SpectralNorm",
    "SpectralNormConv1d",
    "SpectralNormConv2d",
    "SpectralNormConv3d",
    "SpectralNormKernel",
    "SpectralNormLinear",
    "UnitNorm",
    "UnitNormLinear",
    "activations",
    "constant",
    "constrain",
    "convolutions",
    "fold",
    "kernel_parametrizations",
    "linears",
    "load_foreign",
    "load_plain",
    "maps",
    "parametrizations",
    "recognise",
]

# last: they read the names above
from taut.nn.catalog import activations, convolutions, kernel_parametrizations, linears, maps, parametrizations
from taut.nn.conversion.constrain import constrain
