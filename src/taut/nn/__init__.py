"""Layers with a strict Lipschitz constant, as torch modules. Every class states its norm and its guarantee."""

from taut.nn.aol import AOL, AOLLinear
from taut.nn.bjorck import Bjorck, BjorckLinear
from taut.nn.cayley import Cayley, CayleyLinear
from taut.nn.cholesky import Cholesky, CholeskyLinear
from taut.nn.constants import constant, recognise
from taut.nn.exponential import Exp, ExpLinear
from taut.nn.fold import fold
from taut.nn.linf import LInf, LInfLinear
from taut.nn.parseval import ParsevalLinear
from taut.nn.scale import Scale
from taut.nn.sequential import Sequential
from taut.nn.sorts import Abs, FullSort, GroupSort, MaxMin, MaxOut
from taut.nn.spectral_norm import SpectralNorm, SpectralNormLinear
from taut.nn.unit_norm import UnitNorm, UnitNormLinear

__all__ = [
    "AOL",
    "AOLLinear",
    "Abs",
    "Bjorck",
    "BjorckLinear",
    "Cayley",
    "CayleyLinear",
    "Cholesky",
    "CholeskyLinear",
    "Exp",
    "ExpLinear",
    "FullSort",
    "GroupSort",
    "LInf",
    "LInfLinear",
    "MaxMin",
    "MaxOut",
    "ParsevalLinear",
    "Scale",
    "Sequential",
    "SpectralNorm",
    "SpectralNormLinear",
    "UnitNorm",
    "UnitNormLinear",
    "activations",
    "constant",
    "constrain",
    "fold",
    "linears",
    "parametrizations",
    "recognise",
]

# last: they read the names above
from taut.nn.catalog import activations, linears, parametrizations
from taut.nn.constrain import constrain
