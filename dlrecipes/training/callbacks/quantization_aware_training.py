"""Training with the rounding of an int8 file in the last epochs."""

import keras
import tensorflow as tf

from dlrecipes.layers import FakeQuantize
from dlrecipes.layers._arguments import integer
from dlrecipes.layers.fake_quantize import check_bits
from dlrecipes.training.quantization_aware import quantization_aware
from dlrecipes.training.trainer import ROUNDING_RANGES


class QuantizationAwareTraining(keras.callbacks.Callback):
    """Trains and validates with the rounding of an int8 file, from an epoch on.

    Until then the model is trained as it is; rounding at random weights would only disturb it.
    From then on, each batch passes through `quantization_aware(network)`, which shares the
    network's weights. The network itself is left as it is: what is saved, also by callbacks while
    the model is trained, is the plain model, without rounding, and loads without this class.

    It works with any trainer of one `network` and any functional `keras.Model`, on one or several
    devices. `Checkpoints` store the ranges of the activations, so that a resumed run ends with the
    same weights. Choose the best epoch among those with rounding, with
    `Checkpoints(start_from_epoch=...)` and `EarlyStopping(start_from_epoch=...)`. The learning rate
    should be small by then.

    Args:
        start_from_epoch: Number of first epochs without rounding, at least 0.
        bits: Number of bits, from 2 to 16. LiteRT files have 8. Defaults to 8.

    Raises:
        ValueError: If an argument is out of bounds. In `fit`: if the network is not functional.

    Example:

    >>> import keras
    >>> from dlrecipes.training import QuantizationAwareTraining, SupervisedTrainer
    >>> x = keras.Input((4,))
    >>> model = SupervisedTrainer(keras.Model(x, keras.layers.Dense(1)(x)))
    >>> model.compile(keras.optimizers.SGD(0.1), "mse")
    >>> x, y = keras.ops.ones((8, 4)), keras.ops.ones((8, 1))
    >>> rounding = QuantizationAwareTraining(start_from_epoch=2)
    >>> history = model.fit(x, y, epochs=3, verbose=0, callbacks=[rounding])
    >>> len(model.weights)
    2

    Reference:
        Jacob et al., 2018, "Quantization and training of neural networks for efficient
        integer-arithmetic-only inference", section 3. https://arxiv.org/abs/1712.05877
    """

    def __init__(self, start_from_epoch: int, bits: int = 8):
        super().__init__()
        integer("start_from_epoch", start_from_epoch, least=0)
        check_bits(bits)
        self.start_from_epoch = start_from_epoch
        self.bits = bits
        self._is_installed = False
        self._is_rounding = False

    def set_model(self, model):
        if self._is_installed and model is self.model:
            return
        super().set_model(model)
        # Left by a training that raised an error.
        _remove(model)
        with model.distribute_strategy.scope():
            self._network = quantization_aware(getattr(model, "network", model), self.bits)
        state = tf.Module()
        state.ranges = [
            variable.value
            for layer in self._network._flatten_layers()
            if isinstance(layer, FakeQuantize)
            for variable in layer.variables
        ]
        # Restored at once, if the model was restored from a checkpoint with ranges.
        setattr(model, ROUNDING_RANGES, state)
        self._is_installed = True
        self._is_rounding = False

    def on_epoch_begin(self, epoch, logs=None):
        if epoch < self.start_from_epoch or self._is_rounding:
            return
        network = self._network

        def call(inputs, training=False, mask=None):
            return network(inputs, training=training, mask=mask)

        self.model.call = call
        self._is_rounding = True
        _forget_traces(self.model)
        self.model.make_train_function(force=True)

    def on_train_end(self, logs=None):
        _remove(self.model)
        self._is_installed = False


def _remove(model: keras.Model) -> None:
    """Removes the ranges and the rounding, if there are any."""
    if hasattr(model, ROUNDING_RANGES):
        delattr(model, ROUNDING_RANGES)
    if "call" in vars(model):
        del model.call
        _forget_traces(model)


def _forget_traces(model: keras.Model) -> None:
    model.train_function = model.test_function = model.predict_function = None
