"""One small model, and one published version of it, that several tests read."""

import shutil

import keras
import numpy as np
import pytest
import tensorflow as tf

from dlrecipes.export import Exports, Signature, publish


@pytest.fixture(scope="session")
def model():
    """A dense network: nothing here depends on how large or deep a model is."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((3,), name="x")
    return keras.Model(inputs, keras.layers.Dense(2, name="y")(inputs), name="net")


@pytest.fixture(scope="session")
def make_exports():
    """Makes the exports of a model: numbers as the default signature and LiteRT, and strings."""
    x = np.random.default_rng(0).normal(size=(4, 3)).astype("float32")

    def call(model, function=None):
        numbers = Signature(
            function or (lambda x: {"y": model(x), "total": tf.reduce_sum(model(x))}),
            [tf.TensorSpec([None, 3], tf.float32, name="x")],
            [(x,), (x[:1],)],
        )
        words = Signature(
            lambda word: {"exclaimed": tf.strings.join([word, "!"])},
            [tf.TensorSpec([None], tf.string, name="word")],
            [(np.array(["ü", "a\x00"], object),)],
        )
        signatures = {"serving_default": numbers, "words": words}
        return Exports(signatures, numbers, {"words.txt": "a\n"})

    return call


@pytest.fixture(scope="session")
def published(model, make_exports, tmp_path_factory):
    """Version 1 of the model. Read it; `copied` may be damaged."""
    directory = tmp_path_factory.mktemp("published") / "net"
    return publish(model, directory, make_exports(model), "# card\n", make_exports)


@pytest.fixture
def copied(published, tmp_path):
    """A copy of the version."""
    return shutil.copytree(published, tmp_path / "net" / "1")
