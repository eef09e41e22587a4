"""Image quality, against formulas by hand."""

import numpy as np
import pytest

from dlrecipes.metrics.image_quality import image_quality


def test_equal_images_have_the_best_quality():
    images = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3), dtype="uint8")
    assert image_quality(images, images) == pytest.approx({"l1": 0, "psnr": 100, "ssim": 1})


def test_l1_and_psnr_follow_their_formulas_over_several_batches():
    images = np.random.default_rng(0).integers(0, 256, (23, 32, 32, 3), dtype="uint8")
    brighter = np.clip(images.astype(int) + 10, 0, 255).astype("uint8")
    quality = image_quality(images, brighter)
    errors = np.abs(images.astype(int) - brighter)
    assert quality["l1"] == pytest.approx(errors.mean() / 255, rel=1e-5)
    psnr = [10 * np.log10(255**2 / np.mean(error.astype(float) ** 2)) for error in errors]
    assert quality["psnr"] == pytest.approx(np.mean(psnr), rel=1e-4)
    assert quality["ssim"] < 1
