"""Trainers reject unsuitable data with a one-line error, before and after the first `fit`."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from dlrecipes.data.text import TextEncoder
from dlrecipes.layers import RestrictedBoltzmannMachine
from dlrecipes.models import (
    cyclegan_generator,
    dcgan_discriminator,
    dcgan_generator,
    facenet_small,
    patchgan,
    pix2pix_unet,
)
from dlrecipes.training import (
    GAN,
    ContrastiveDivergence,
    CycleGAN,
    Pix2Pix,
    SequenceTagger,
    SupervisedTrainer,
    TripletEmbedding,
    TruncatedBPTT,
)

IMAGES = np.zeros((4, 16, 16, 3), "float32")


def dense():
    x = keras.Input((5,), name="x")
    return keras.Model(x, keras.layers.Dense(1)(x))


def recurrent():
    x = keras.Input((None, 2), name="x")
    hidden = keras.layers.SimpleRNN(3, return_sequences=True)(x)
    return keras.Model(x, keras.layers.Dense(1)(hidden))


def gan(num_classes=0):
    small = {"size": 8, "channels": 1, "filters": 2, "num_classes": num_classes}
    return GAN(dcgan_generator(**small), dcgan_discriminator(**small))


def pix2pix(layers=1):
    return Pix2Pix(pix2pix_unet(size=16, filters=2), patchgan(layers=layers, filters=2))


def cyclegan():
    discriminators = [patchgan(layers=1, filters=2, condition_channels=0) for _ in "ab"]
    generators = [cyclegan_generator(filters=2, blocks=1) for _ in "ab"]
    return CycleGAN(*generators, *discriminators, image_size=16)


def divergence():
    machine = RestrictedBoltzmannMachine(3)
    machine.build((None, 6))
    return ContrastiveDivergence(machine)


def floats(*shape):
    return np.zeros(shape, "float32")


CASES = {
    "SupervisedTrainer": (
        lambda: SupervisedTrainer(dense()),
        "mse",
        (floats(4, 5), floats(4, 1)),
        [((floats(4, 6), floats(4, 1)), r"reads x of shape \(batch, 5\), not \(None, 6\)")],
    ),
    "TruncatedBPTT": (
        lambda: TruncatedBPTT(recurrent(), window=2),
        "mse",
        (floats(4, 4, 2), floats(4, 4, 1)),
        [
            ((floats(4, 4, 3), floats(4, 4, 1)), r"reads x of shape \(batch, None, 2\)"),
            ((floats(4, 4, 2), floats(4, 5, 1)), "must have the same length"),
            ((floats(4, 4, 2), floats(4)), "values for each step"),
        ],
    ),
    "TripletEmbedding": (
        lambda: TripletEmbedding(facenet_small((16, 16, 3), filters=(2, 2))),
        None,
        (IMAGES, np.array([0, 0, 1, 1])),
        [
            ((floats(4, 16, 12, 3), np.array([0, 0, 1, 1])), r"reads images of shape"),
            ((IMAGES,), "needs labels"),
            ((IMAGES, np.array([0, 0, 1, 1]), None, np.ones(4)), "no sample weights"),
        ],
    ),
    "ContrastiveDivergence": (
        divergence,
        None,
        (floats(4, 6),),
        [
            ((floats(4, 7),), r"must be of shape \(batch, 6\)"),
            ((floats(4, 6), None, None, np.ones(4)), "no sample_weight"),
        ],
    ),
    "GAN": (
        gan,
        None,
        (floats(4, 8, 8, 1),),
        [
            ((floats(4, 9, 8, 1),), r"Examples must have shape \(None, 8, 8, 1\)"),
            ((floats(4, 8, 8, 1), np.arange(4)), "images alone"),
            ((floats(4, 8, 8, 1), None, None, np.ones(4)), "no sample weights"),
        ],
    ),
    "GAN, conditional": (
        lambda: gan(3),
        None,
        (floats(4, 8, 8, 1), np.array([0, 1, 2, 0])),
        [
            ((floats(4, 8, 8, 1),), r"\(images, labels\)"),
            ((floats(4, 8, 8, 1), np.array([0, 1, 3, 0])), "from 0 to 2, got 3"),
            ((floats(4, 8, 8, 1), np.array([0, -1, 2, 0])), "from 0 to 2, got -1"),
            ((floats(4, 8, 8, 1), floats(4)), "labels must be integers, not float32"),
        ],
    ),
    "Pix2Pix": (
        pix2pix,
        None,
        (IMAGES, IMAGES),
        [
            ((floats(4, 16, 12, 3), IMAGES), "reads"),
            ((IMAGES, floats(4, 16, 12, 3)), "Targets must have shape"),
            ((IMAGES,), "two batches of images"),
            ((IMAGES, IMAGES.astype("uint8")), r"in \[-1, 1\], not uint8"),
        ],
    ),
    "CycleGAN": (
        cyclegan,
        None,
        (IMAGES, IMAGES),
        [
            ((IMAGES, floats(4, 16, 16, 1)), "reads"),
            ((IMAGES,), "two batches of images"),
        ],
    ),
}


def arguments(parts):
    names = ("x", "y", "batch_size", "sample_weight")
    return {name: part for name, part in zip(names, parts, strict=False) if part is not None}


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=pytest.mark.slow if name == "CycleGAN" else ()) for name in CASES],
)
def test_unsuitable_data_raise_a_one_line_error_before_and_after_training(name):
    make, loss, good, wrong = CASES[name]
    model = make()
    options = {"jit_compile": False} | ({"loss": loss} if loss else {})
    model.compile(keras.optimizers.SGD(0.1), **options)
    for trained in (False, True):
        if trained:
            # After batches of two sizes, Keras traces with unknown sizes.
            model.fit(*good, batch_size=4, verbose=0)
            model.fit(*[part[:2] for part in good], batch_size=2, verbose=0)
        for parts, message in wrong:
            for method in (model.fit, model.evaluate):
                with pytest.raises(ValueError, match=message) as caught:
                    method(**arguments(parts), verbose=0)
                assert "\n" not in str(caught.value)


def test_a_last_axis_of_size_one_may_be_omitted_as_in_keras():
    x = keras.Input((1,))
    model = SupervisedTrainer(keras.Model(x, keras.layers.Dense(1)(x)))
    model.compile("sgd", "mse")
    assert np.isfinite(model.fit(floats(4), floats(4), verbose=0).history["loss"][0])


@pytest.mark.parametrize("network", ["dense", None, 3])
@pytest.mark.parametrize(
    "trainer",
    [SupervisedTrainer, TripletEmbedding, lambda network: TruncatedBPTT(network, window=2)],
)
def test_an_argument_that_is_not_a_network_raises_a_type_error(trainer, network):
    with pytest.raises(TypeError, match=r"network must be a keras\.Model, not"):
        trainer(network)


def tagger():
    encoder = TextEncoder.fit([["to", "Rome"]])
    words = keras.Input((None,), dtype="int32", name="words")
    scores = keras.layers.Dense(2)(keras.layers.Embedding(encoder.num_words, 2)(words))
    network = keras.Model({"words": words}, {"tags": scores})
    return SequenceTagger(network, encoder, ["O", "B-to"])


@pytest.mark.parametrize("make", [divergence, tagger, lambda: CASES["TripletEmbedding"][0]()])
def test_compile_rejects_a_loss_and_works_without_one(make):
    model = make()
    line = f"^{type(model).__name__} has its own loss.*: compile it without one\\.$"
    for arguments in (("sgd", "mse"), ("sgd", keras.losses.MeanSquaredError())):
        with pytest.raises(ValueError, match=line):
            model.compile(*arguments)
        with pytest.raises(ValueError, match=line):
            model.compile(optimizer=arguments[0], loss=arguments[1])
    model.compile("sgd")


def test_samples_of_unknown_classes_are_rejected():
    with pytest.raises(ValueError, match="from 0 to 2, got 5"):
        gan(3).sample(2, labels=[0, 5])


@pytest.mark.parametrize("make", [gan, pix2pix])
def test_compile_explains_wrong_optimizers_and_class_weights(make):
    model, optimizer = make(), keras.optimizers.Adam()
    with pytest.raises(ValueError, match="must be two objects, not one"):
        model.compile(optimizer, optimizer)
    with pytest.raises(ValueError, match="discriminators' optimizer second, not 'mse'"):
        model.compile("adam", "mse")
    model.compile("adam", "sgd")
    with pytest.raises(ValueError, match="takes no class_weight"):
        model.fit(IMAGES, class_weight={0: 1.0})


def test_data_sets_are_checked_as_well():
    model = SupervisedTrainer(dense())
    model.compile("sgd", "mse")
    data = tf.data.Dataset.from_tensors((floats(4, 6), floats(4, 1)))
    with pytest.raises(ValueError, match="reads x of shape"):
        model.fit(data)


@pytest.mark.parametrize("layers", [3, 4])
def test_images_too_small_for_the_discriminator_are_rejected(layers):
    model = pix2pix(layers)
    model.compile()
    with pytest.raises(ValueError, match=r"patchgan cannot judge images of 16 x 16: .*small"):
        model.fit(IMAGES, IMAGES, verbose=0)
