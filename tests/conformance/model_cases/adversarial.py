"""Generators and discriminators."""

import keras
import numpy as np
from contract import ModelCase

LATENT, CLASSES = 5, 3


def noise(values=LATENT, labels=False):
    def make(batch: int, size: int) -> dict[str, np.ndarray]:
        rng = np.random.default_rng(batch)
        return {"noise": rng.normal(size=(batch, values)).astype("float32")} | label(
            rng, batch, labels
        )

    return make


def image_arrays(*names, labels=False, channels=3):
    def make(batch: int, size: int) -> dict[str, np.ndarray]:
        rng = np.random.default_rng(batch)
        shape = (batch, size, size, channels)
        images = {name: rng.uniform(-1, 1, shape).astype("float32") for name in names}
        return images | label(rng, batch, labels)

    return make


def label(rng, batch: int, conditional: bool) -> dict[str, np.ndarray]:
    return {"label": rng.integers(0, CLASSES, batch).astype("int32")} if conditional else {}


def seeded(**kwargs):
    """Returns a function of the arguments that first sets the seed of the random weights."""

    def make():
        keras.utils.set_random_seed(1)
        return kwargs

    return make


# Initialized as in the papers, networks as narrow as these would have outputs of almost zero.
LARGE = {"kernel_initializer": "he_normal", "filters": 2}
DIGITS = {**LARGE, "size": 28, "channels": 1, "num_classes": CLASSES}
BIGGAN = {"size": 32, "num_classes": CLASSES, "filters": 1, "attention": 16}
ONE_SIZE = {"any_size": False}
ATTENTION = {
    f"attention/{part}": "attention starts as the identity; its layer's own case has gamma at 1"
    for part in ("key", "query", "value", "output_projection")
}

CASES = {
    "dcgan_generator": ModelCase(
        "dcgan_generator",
        seeded(**LARGE, size=32, latent_size=LATENT),
        noise(),
        sizes=(32,),
        **ONE_SIZE,
    ),
    "dcgan_generator-conditional": ModelCase(
        "dcgan_generator",
        seeded(**DIGITS, latent_size=LATENT),
        noise(labels=True),
        sizes=(28,),
        **ONE_SIZE,
    ),
    "dcgan_discriminator": ModelCase(
        "dcgan_discriminator",
        seeded(**LARGE, size=32),
        image_arrays("image"),
        sizes=(32,),
        **ONE_SIZE,
    ),
    "dcgan_discriminator-conditional": ModelCase(
        "dcgan_discriminator",
        seeded(**DIGITS),
        image_arrays("image", labels=True, channels=1),
        sizes=(28,),
        **ONE_SIZE,
    ),
    "biggan_generator": ModelCase(
        "biggan_generator",
        seeded(**BIGGAN, latent_chunk=2, embedding_size=3),
        noise(8, labels=True),
        sizes=(32,),
        without_gradient=ATTENTION,
        **ONE_SIZE,
    ),
    "biggan_discriminator": ModelCase(
        "biggan_discriminator",
        seeded(**BIGGAN),
        image_arrays("image", labels=True),
        sizes=(32,),
        without_gradient=ATTENTION,
        **ONE_SIZE,
    ),
    "pix2pix_unet": ModelCase(
        "pix2pix_unet",
        seeded(**LARGE, size=16, seed=1),
        image_arrays("image"),
        sizes=(16,),
        **ONE_SIZE,
    ),
    "pix2pix_unet-any-size": ModelCase(
        "pix2pix_unet",
        seeded(**LARGE, size=None, levels=2, norm="instance", dropout=0.0),
        image_arrays("image"),
        sizes=(8, 12, 4),
    ),
    "pix2pix_unet-nearest": ModelCase(
        "pix2pix_unet",
        seeded(**LARGE, size=8, upsampling="nearest", norm="instance", dropout=0.0),
        image_arrays("image"),
        sizes=(8,),
    ),
    "pix2pix_unet-final-filters": ModelCase(
        "pix2pix_unet",
        seeded(**LARGE, size=8, upsampling="bilinear", final_filters=4, dropout=0.0),
        image_arrays("image"),
        sizes=(8,),
    ),
    "patchgan": ModelCase(
        "patchgan",
        seeded(**LARGE),
        image_arrays("condition", "image"),
        sizes=(24, 32),
    ),
    "patchgan-alone": ModelCase(
        "patchgan",
        seeded(**LARGE, layers=2, condition_channels=0, norm="instance"),
        image_arrays("image"),
        sizes=(16, 24),
    ),
    "patchgan-pixel": ModelCase(
        "patchgan",
        seeded(**LARGE, layers=0, norm="none"),
        image_arrays("condition", "image"),
    ),
    "cyclegan_generator": ModelCase(
        "cyclegan_generator",
        seeded(**LARGE, blocks=1),
        image_arrays("image"),
        sizes=(8, 12, 16),
    ),
    "cyclegan_generator-symmetric": ModelCase(
        "cyclegan_generator",
        seeded(**LARGE, blocks=1, padding="symmetric"),
        image_arrays("image"),
        # Instances are normalised over the smallest maps, whose sides are a quarter of these.
        sizes=(24, 28, 32),
    ),
}
