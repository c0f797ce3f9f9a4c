"""Linear operators of imaging problems: each with an exact adjoint, a proven norm and the inverse of I + step A^T A."""

from taut.imaging.operators.blur import Blur
from taut.imaging.operators.conjugate_gradients import Solution, conjugate_gradients
from taut.imaging.operators.fourier import FourierMask, cartesian_mask, radial_mask, random_mask
from taut.imaging.operators.identity import Identity
from taut.imaging.operators.inpainting import Inpainting, random_pixels
from taut.imaging.operators.kernels import gaussian_kernel, motion_kernel, uniform_kernel
from taut.imaging.operators.operator import LinearOperator
from taut.imaging.operators.super_resolution import SuperResolution
from taut.imaging.operators.tomography import Tomography

__all__ = [
    "Blur",
    "FourierMask",
    "Identity",
    "Inpainting",
    "LinearOperator",
    "Solution",
    "SuperResolution",
    "Tomography",
    "cartesian_mask",
    "conjugate_gradients",
    "gaussian_kernel",
    "motion_kernel",
    "radial_mask",
    "random_mask",
    "random_pixels",
    "uniform_kernel",
]
