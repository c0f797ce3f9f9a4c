"""Pictures restored with proven denoisers: operators with known norms, plug-and-play iterations and their theorems."""

from taut.imaging.denoiser import Denoiser
from taut.imaging.nonexpansive import nonexpansive
from taut.imaging.tv import TVDenoiser, tv_denoiser

__all__ = ["Denoiser", "TVDenoiser", "nonexpansive", "tv_denoiser"]
