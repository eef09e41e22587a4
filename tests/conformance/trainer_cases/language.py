"""Cases of character language models."""

import keras
import numpy as np
from trainer_contract import TrainerCase

from dlrecipes.models import character_lm
from dlrecipes.training import CharacterLanguageModel

IDS, EXAMPLES, TIME, WINDOW = 7, 16, 11, 6


def language_model():
    network = character_lm(IDS, {"place": 3}, units=6, embedding_units=4, condition_units=2)
    vocabulary = ["[start]", *"abcdef"]
    model = CharacterLanguageModel(network, WINDOW, vocabulary, ["theme"], 2)
    model.associate(np.ones((8, 2), "int32"), np.ones((8, 2), "float32"))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(0.01, global_clipnorm=0.3), loss, metrics=["accuracy"])
    return model


def sequences():
    rng = np.random.default_rng(0)
    places = np.tile(np.arange(TIME) % 3, (EXAMPLES, 1)).astype("int32")
    rows = (rng.integers(0, 3, (EXAMPLES, TIME + 1)).cumsum(axis=1) % IDS).astype("int32")
    return {"characters": rows[:, :-1], "place": places}, rows[:, 1:]


CASES = {"CharacterLanguageModel": TrainerCase(language_model, sequences)}
