"""Why some modules and functions have no Lipschitz constant: told with the refusal."""

import operator
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

_ATTENTION = (
    "dot-product attention is not Lipschitz on all of R^n: its Jacobian grows with the square of the input (Kim, "
    "Papamakarios and Mnih 2021). Use taut.nn.L2SelfAttention"
)
_PRODUCT = (
    "a product of two tensors that are both made of the input is not Lipschitz on all of R^n; dot-product attention, "
    "softmax(Q K^T) V, is unbounded for this reason (Kim, Papamakarios and Mnih 2021): use taut.nn.L2SelfAttention"
)

ATTENTION_MODULES = (
    nn.MultiheadAttention,
    nn.TransformerEncoderLayer,
    nn.TransformerDecoderLayer,
    nn.TransformerEncoder,
    nn.TransformerDecoder,
    nn.Transformer,
)
MATRIX_PRODUCTS = {operator.matmul, torch.matmul, "matmul"}
_OTHER_PRODUCTS = {torch.bmm, "bmm", torch.einsum, torch.baddbmm, torch.mm, "mm", operator.mul, torch.mul, "mul"}


def why_module(module: nn.Module) -> str | None:
    """The reason why a module is unbounded, where it is known."""
    return _ATTENTION if isinstance(module, ATTENTION_MODULES) else None


def why_function(target: Any, moving: int) -> str | None:
    """The reason why a function of `moving` tensors made of the input is unbounded, where it is known."""
    if target is F.scaled_dot_product_attention or target is F.multi_head_attention_forward:
        return _ATTENTION
    if moving > 1 and (target in MATRIX_PRODUCTS or target in _OTHER_PRODUCTS):
        return _PRODUCT
    return None
