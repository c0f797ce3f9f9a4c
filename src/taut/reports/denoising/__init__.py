"""Denoising runs: pictures and numbers of a denoiser with a proven constant, beside those it is compared with."""
