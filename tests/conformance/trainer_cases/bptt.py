"""Cases of truncated back-propagation through time."""

import keras
import numpy as np
from trainer_contract import BATCH, STEPS, TrainerCase

from dlrecipes.data.streams import stream_batches
from dlrecipes.models import sequence_model
from dlrecipes.training import TruncatedBPTT

IDS, EXAMPLES, TIME, WINDOW = 7, 16, 11, 4


def truncated(cell, streams=None, units=6, depth=2):
    def make():
        sizes = {"units": units, "depth": depth}
        network = sequence_model("many_to_many", IDS, num_ids=IDS, cell=cell, **sizes)
        model = TruncatedBPTT(network, WINDOW, streams=streams)
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(keras.optimizers.Adam(0.01, global_clipnorm=0.3), loss, metrics=["accuracy"])
        return model

    return make


def text(tokens):
    """Returns ids, each a function of the previous two."""
    ids = [1, 2]
    while len(ids) < tokens:
        ids.append((ids[-1] + 2 * ids[-2] + len(ids) % 2) % IDS)
    return np.array(ids, "int32")


def sequences():
    rows = np.stack([text(3 * EXAMPLES + TIME + 1)[3 * n :][: TIME + 1] for n in range(EXAMPLES)])
    return rows[:, :-1], rows[:, 1:]


def endless(start_epoch):
    batches = stream_batches(text(BATCH * STEPS * TIME + 1), BATCH, TIME)
    assert len(batches) == STEPS
    return batches.repeat()


CASES = {
    "TruncatedBPTT": TrainerCase(truncated("elman", units=4, depth=1), sequences),
    "TruncatedBPTT, deep LSTM": TrainerCase(truncated("lstm"), sequences),
    "TruncatedBPTT, streams": TrainerCase(truncated("lstm", BATCH), sequences, endless),
}
