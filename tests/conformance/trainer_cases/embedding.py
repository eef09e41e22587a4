"""Cases of trainers whose loss compares the examples of a batch with each other."""

import keras
import numpy as np
from trainer_contract import BATCH, STEPS, TrainerCase

from dlrecipes.data.identities import pk_batches
from dlrecipes.layers import L2Normalization
from dlrecipes.models import ensemble
from dlrecipes.training import TripletEmbedding

IDENTITIES, IMAGES, EACH = BATCH // 2, 2, 5


def embedding(on_sphere=True, **kwargs):
    def make():
        x = keras.Input((5,))
        hidden = keras.layers.Dense(8, activation="tanh", kernel_regularizer="l2")(x)
        # Without normalisation the last bias moves all embeddings equally. Its gradient would be a
        # rounding error, which Adam would amplify.
        y = keras.layers.Dense(3, use_bias=on_sphere)(hidden)
        y = L2Normalization(dtype="float32")(y) if on_sphere else y
        model = TripletEmbedding(keras.Model(x, y), **kwargs)
        model.compile(keras.optimizers.Adam(0.02, global_clipnorm=0.5))
        return model

    return make


def two_members():
    """Returns a trainer of an ensemble of two."""

    def member(name):
        x = keras.Input((5,))
        y = keras.layers.Dense(3)(keras.layers.Dense(8, activation="tanh")(x))
        return keras.Model(x, L2Normalization(dtype="float32")(y), name=name)

    x = keras.Input((5,))
    mean = ensemble([member("a"), member("b")])(x)
    # Semi-hard mining would choose other triplets in bfloat16, from distances that it rounds.
    network = keras.Model(x, L2Normalization(dtype="float32")(mean))
    model = TripletEmbedding(network, mining="batch_all")
    model.compile(keras.optimizers.Adam(0.02, global_clipnorm=0.5))
    return model


def clusters():
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(IDENTITIES + 1), EACH)
    centres = rng.normal(size=(IDENTITIES + 1, 5))
    x = centres[labels] + rng.normal(size=(len(labels), 5))
    return x.astype("float32"), labels.astype("int32")


def clustered_batches(start_epoch):
    return pk_batches(*clusters(), IDENTITIES, IMAGES, 3, start_epoch, steps=STEPS)


CASES = {
    "TripletEmbedding": TrainerCase(embedding(), clusters, clustered_batches),
    "TripletEmbedding, ensemble": TrainerCase(two_members, clusters, clustered_batches),
    # Shuffled batches, which may hold an example without a positive.
    "TripletEmbedding, hard": TrainerCase(embedding(mining="hard"), clusters),
    "TripletEmbedding, batch hard": TrainerCase(
        embedding(mining="batch_hard", metric="euclidean", on_sphere=False),
        clusters,
        clustered_batches,
    ),
    "TripletEmbedding, batch all": TrainerCase(
        embedding(mining="batch_all", metric="cosine"), clusters, clustered_batches
    ),
    "TripletEmbedding, batch all nonzero": TrainerCase(
        embedding(mining="batch_all_nonzero", margin=0.5), clusters, clustered_batches
    ),
}
