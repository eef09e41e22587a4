"""Keras layers, one public class a file, written with `keras.ops` alone."""

from dlrecipes.layers.context_window import ContextWindow
from dlrecipes.layers.ensemble_mean import EnsembleMean
from dlrecipes.layers.jordan_cell import JordanCell
from dlrecipes.layers.linear_chain_crf import LinearChainCRF
from dlrecipes.layers.one_of_n import OneOfN
from dlrecipes.layers.peephole_lstm_cell import PeepholeLSTMCell
from dlrecipes.layers.word_dropout import WordDropout
from dlrecipes.layers.word_hashing import WordHashing

__all__ = [
    "ContextWindow",
    "EnsembleMean",
    "JordanCell",
    "LinearChainCRF",
    "OneOfN",
    "PeepholeLSTMCell",
    "WordDropout",
    "WordHashing",
]
