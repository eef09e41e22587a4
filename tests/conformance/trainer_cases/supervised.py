"""Cases of supervised trainers."""

import keras
import numpy as np
from trainer_contract import TrainerCase

from dlrecipes.data.text import TextEncoder
from dlrecipes.models import tagger
from dlrecipes.training import Distillation, ImageClassifier, SequenceTagger, SupervisedTrainer

WORDS, TAGS, EXAMPLES, TIME = 9, 3, 16, 6


def functional():
    x = keras.Input((5,))
    hidden = keras.layers.Dense(8, activation="tanh", kernel_regularizer="l2")(x)
    network = keras.Model(x, keras.layers.Dense(1, dtype="float32")(hidden))
    model = SupervisedTrainer(network)
    model.compile(keras.optimizers.Adam(0.02, global_clipnorm=0.5), "mse", metrics=["mae"])
    return model


def normalised():
    x = keras.Input((5,))
    hidden = keras.layers.Dense(8, use_bias=False)(x)
    hidden = keras.layers.Activation("tanh")(keras.layers.BatchNormalization()(hidden))
    model = SupervisedTrainer(keras.Model(x, keras.layers.Dense(1, dtype="float32")(hidden)))
    model.compile(keras.optimizers.Adam(0.02), "mse")
    return model


def regression():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(EXAMPLES, 5)).astype("float32")
    return x, (x @ rng.normal(size=(5, 1))).astype("float32")


def classifier():
    x = keras.Input((5,))
    hidden = keras.layers.Dense(8, activation="tanh")(x)
    model = ImageClassifier(keras.Model(x, keras.layers.Dense(3)(hidden)), ["a", "b", "c"])
    loss = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.1)
    model.compile(keras.optimizers.Adam(0.02), loss, metrics=["categorical_accuracy"])
    return model


def teacher():
    x = keras.Input((5,))
    initializer = keras.initializers.GlorotUniform(seed=5)
    scores = keras.layers.Dense(3, dtype="float32", kernel_initializer=initializer)
    return keras.Model(x, scores(x))


def distillation():
    x = keras.Input((5,))
    hidden = keras.layers.Dense(8, activation="tanh", kernel_regularizer="l2")(x)
    network = keras.Model(x, keras.layers.Dense(3)(hidden))
    model = Distillation(network, ["a", "b", "c"], teacher(), temperature=2.0, alpha=0.5)
    loss = keras.losses.CategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(0.02), loss, metrics=["categorical_accuracy"])
    return model


def classes():
    x, y = regression()
    return x, np.eye(3, dtype="float32")[np.digitize(y[:, 0], [-1, 1])]


def sequence_tagger(output):
    def make():
        encoder = TextEncoder.fit([list("abcdefgh")])
        sizes = {"num_tags": TAGS, "units": 6, "word_units": 4}
        network = tagger(encoder.num_words, **sizes, dropout=0.0, seed=1)
        model = SequenceTagger(network, encoder, ["O", "B-a", "I-a"], output=output)
        model.compile(keras.optimizers.Adam(0.02))
        return model

    return make


def sentences():
    rng = np.random.default_rng(1)
    words = rng.integers(1, WORDS, (EXAMPLES, TIME)).astype("int32")
    words[::3, TIME // 2 :] = 0
    return {"words": words}, {"tags": np.where(words == 0, 0, words % TAGS).astype("int32")}


CASES = {
    "SupervisedTrainer": TrainerCase(functional, regression),
    "SupervisedTrainer, batch normalisation": TrainerCase(
        normalised, regression, not_distributed="each replica normalises independently"
    ),
    "ImageClassifier": TrainerCase(classifier, classes),
    "Distillation": TrainerCase(
        distillation, classes, after_load=lambda model: model.set_teacher(teacher())
    ),
    "SequenceTagger": TrainerCase(sequence_tagger("crf"), sentences),
    "SequenceTagger, softmax": TrainerCase(sequence_tagger("softmax"), sentences),
}
