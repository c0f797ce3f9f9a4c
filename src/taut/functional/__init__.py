"""Pure tensor mathematics: no state, no modules. The formulas behind `taut.nn`."""

from taut.functional.bjorck import bjorck_steps
from taut.functional.block_factors import block_factors
from taut.functional.block_kernel import block_orthogonal, block_shapes
from taut.functional.bounded import almost_orthogonal, gram_norm, spectral_normalize, unit_rows
from taut.functional.conv_aol import almost_orthogonal_kernel
from taut.functional.conv_clip import clip_singular_values
from taut.functional.conv_fourier import cayley_convolution, reflected_convolution
from taut.functional.conv_norm import conv_norm, shrink_kernel, spectral_normalize_kernel
from taut.functional.fixed_point import (
    FixedPoint,
    attach_gradient,
    inverse_error_bound,
    inverse_steps,
    solve_contraction,
)
from taut.functional.frobenius import frobenius_normalize
from taut.functional.householder_activation import householder_fold, householder_order2
from taut.functional.l1_ball import project_rows_l1, scale_rows_l1
from taut.functional.linear_spline import clip_slopes, linear_spline
from taut.functional.linf_distance import linf_distance, lp_distance
from taut.functional.log_det import log_abs_det, log_det_estimate, log_det_truncation_bound, roulette_weights
from taut.functional.manifold import stiefel_retract, stiefel_step
from taut.functional.n_activation import n_activation
from taut.functional.orthogonal import bjorck_step, cayley, cholesky_factor, exponential
from taut.functional.polar import polar_factor
from taut.functional.qr import qr_factor
from taut.functional.reflect import reflect
from taut.functional.reflections import block_reflection, householder_product
from taut.functional.reshaped_bound import reshaped_nonexpansive
from taut.functional.reshaped_kernel import reshaped_orthogonal, windows_per_pixel
from taut.functional.residual import cpl_outer, cpl_outer_kernel, sll_outer, sll_outer_kernel
from taut.functional.skew_exponential import exponential_excess, skew_kernel, truncated_exponential
from taut.functional.smooth import concat_relu, smooth, smooth_max_min
from taut.functional.soft_distance import soft_linf_distance
from taut.functional.sort_neuron import sort_neuron
from taut.functional.sorting import full_sort, group_sort, max_min, max_out

__all__ = [
    "FixedPoint",
    "almost_orthogonal",
    "almost_orthogonal_kernel",
    "attach_gradient",
    "bjorck_step",
    "bjorck_steps",
    "block_factors",
    "block_orthogonal",
    "block_reflection",
    "block_shapes",
    "cayley",
    "cayley_convolution",
    "cholesky_factor",
    "clip_singular_values",
    "clip_slopes",
    "concat_relu",
    "conv_norm",
    "cpl_outer",
    "cpl_outer_kernel",
    "exponential",
    "exponential_excess",
    "frobenius_normalize",
    "full_sort",
    "gram_norm",
    "group_sort",
    "householder_fold",
    "householder_order2",
    "householder_product",
    "inverse_error_bound",
    "inverse_steps",
    "linear_spline",
    "linf_distance",
    "log_abs_det",
    "log_det_estimate",
    "log_det_truncation_bound",
    "lp_distance",
    "max_min",
    "max_out",
    "n_activation",
    "polar_factor",
    "project_rows_l1",
    "qr_factor",
    "reflect",
    "reflected_convolution",
    "reshaped_nonexpansive",
    "reshaped_orthogonal",
    "roulette_weights",
    "scale_rows_l1",
    "shrink_kernel",
    "skew_kernel",
    "sll_outer",
    "sll_outer_kernel",
    "smooth",
    "smooth_max_min",
    "soft_linf_distance",
    "solve_contraction",
    "sort_neuron",
    "spectral_normalize",
    "spectral_normalize_kernel",
    "stiefel_retract",
    "stiefel_step",
    "truncated_exponential",
    "unit_rows",
    "windows_per_pixel",
]
