"""The network with rounding shares its weights, predicts the int8 file, and improves it."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from dlrecipes.export.litert import LiteRTModel, convert
from dlrecipes.export.signatures import Signature
from dlrecipes.layers import FakeQuantize, FakeQuantizedKernel
from dlrecipes.metrics import count_macs, sparsity
from dlrecipes.models import ensemble, small_cnn
from dlrecipes.training import MagnitudePruning, SupervisedTrainer, quantization_aware

X = np.random.default_rng(0).uniform(-1, 1, (1024, 8)).astype("float32")
SCALE, UNITS = 30, 16


def narrow():
    """A network one of whose units is large: its range leaves the others few steps.

    A factor of the unit's inputs and its inverse at its output leave the function as it is.
    """
    keras.utils.set_random_seed(1)
    x = keras.Input((8,), name="x")
    hidden = keras.layers.Dense(UNITS, use_bias=False, name="hidden")(x)
    y = keras.layers.Dense(1, name="y")(keras.layers.ReLU(name="relu")(hidden))
    model = keras.Model(x, y)
    hidden, output = model.get_layer("hidden").kernel, model.get_layer("y").kernel
    factors = np.ones(UNITS)
    factors[0] = SCALE
    hidden.assign(hidden.numpy() * factors)
    output.assign(output.numpy() / factors[:, None])
    return model


def int8_outputs(model, folder):
    inputs = [tf.TensorSpec([None, 8], tf.float32, name="x")]
    signature = Signature(lambda x: {"y": model(x)}, inputs, [(X[:1],)])
    path = folder / "model.tflite"
    path.write_bytes(convert(signature, "int8", [(x[None],) for x in X]))
    return LiteRTModel(path)(x=X)["y"]


def error(outputs, expected):
    return float(np.mean((np.asarray(outputs) - np.asarray(expected)) ** 2))


def test_training_with_rounding_improves_the_int8_file(tmp_path):
    network = narrow()
    y = np.asarray(network(X))
    values = np.maximum(X @ network.get_layer("hidden").kernel.numpy(), 0)
    step, output = values.max() / 255, network.get_layer("y").kernel.numpy()
    # Rounding has the variance step^2 / 12, for the units that are positive: half of them.
    expected = np.mean((values > 0) @ output**2) * step**2 / 12
    before = error(int8_outputs(network, tmp_path), y)
    assert 0.25 * expected < before < 4 * expected
    model = SupervisedTrainer(quantization_aware(network))
    model.compile(keras.optimizers.Adam(0.005), "mse")
    model.fit(X, y, 64, epochs=12, verbose=0)
    assert error(int8_outputs(network, tmp_path), y) < before


def test_the_network_with_rounding_predicts_the_int8_file(tmp_path):
    network = narrow()
    rounding = quantization_aware(network)
    # One batch of the examples that calibrate the file: the ranges are the same.
    rounding(X, training=True)
    lite = int8_outputs(network, tmp_path)
    assert error(rounding(X), lite) < 0.2 * error(network(X), lite)


def test_rounding_stands_where_litert_rounds():
    network = small_cnn(3, (28, 28, 1), (2, 2, 2, 2), classifier_activation=None)
    names = [layer.name for layer in quantization_aware(network).layers]
    # Convolution, normalization and ReLU are one operation; pooling keeps the range.
    assert names[:8] == ["images", "range_images", "quantized_conv_1", "norm_1", "relu_1",
                         "range_relu_1", "pool_1", "quantized_conv_2"]  # fmt: skip
    assert names[-4:] == ["flatten", "dropout", "quantized_predictions", "range_predictions"]


def test_weights_are_shared_and_the_network_is_left_as_it_was():
    network = small_cnn(3, (28, 28, 1), (2, 2, 2, 2), classifier_activation=None)
    before, macs = network.get_config(), count_macs(network)
    rounding = quantization_aware(network)
    ours, theirs = ({id(v) for v in m.trainable_variables} for m in (rounding, network))
    assert ours == theirs
    ranges = [layer for layer in rounding.layers if isinstance(layer, FakeQuantize)]
    assert len(rounding.weights) == len(network.weights) + 2 * len(ranges)
    assert network.get_config() == before
    assert count_macs(network) == macs


def test_members_of_an_ensemble_and_shared_layers_are_rounded():
    first, second = narrow(), narrow()
    second.name = "second"
    rounding = quantization_aware(ensemble([first, second]))
    wrappers = [x for x in rounding._flatten_layers() if isinstance(x, FakeQuantizedKernel)]
    assert len(wrappers) == 4
    x = keras.Input((3,))
    dense = keras.layers.Dense(3)
    twice = quantization_aware(keras.Model(x, dense(dense(x))))
    assert len({id(w) for w in twice.layers if isinstance(w, FakeQuantizedKernel)}) == 1


def test_pruned_weights_stay_zero_while_it_learns_rounding():
    network = narrow()
    model = SupervisedTrainer(quantization_aware(network))
    model.compile("adam", "mse")
    pruning = MagnitudePruning(0.75, 0, 4, frequency=2)
    model.fit(X[:256], X[:256, :1], verbose=0, callbacks=[pruning])
    assert sparsity(network) == {"hidden": 0.75, "y": 0.75}


def test_a_reloaded_network_has_the_same_outputs(tmp_path):
    rounding = quantization_aware(narrow())
    rounding(X, training=True)
    rounding.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(again(X), rounding(X))


def test_a_model_that_is_not_functional_is_refused():
    class Mine(keras.Model):
        def call(self, x):
            return x

    with pytest.raises(ValueError, match="must be a functional model"):
        quantization_aware(Mine())
