"""Metrics: fidelity (how close to the clean image) and perceptual metrics (how real)."""

from gan_restore.metrics.fidelity import (
    METRICS,
    NORMALISED_PSNR_CAP,
    PSNR_CAP,
    estimated_mos,
    luma,
    mean_shift,
    mse,
    normalised_psnr,
    psnr,
    ssim,
    texture_distance,
)
from gan_restore.metrics.perceptual import INCEPTION, Measurement, efficientnet_distance, fid, lpips

__all__ = [
    "INCEPTION",
    "METRICS",
    "NORMALISED_PSNR_CAP",
    "PSNR_CAP",
    "Measurement",
    "efficientnet_distance",
    "estimated_mos",
    "fid",
    "lpips",
    "luma",
    "mean_shift",
    "mse",
    "normalised_psnr",
    "psnr",
    "ssim",
    "texture_distance",
]
