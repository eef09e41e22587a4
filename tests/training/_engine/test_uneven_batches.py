"""Examples are weighted equally, however many of them a replica has."""

import json
import subprocess
import sys

import keras
import numpy as np
import pytest

pytestmark = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="trainers are TensorFlow's"
)

# Three replicas divide batches of 4 and a last one of 1: 2 + 2 + 0, and 1 + 0 + 0.
SCRIPT = """
import json
import sys

import tensorflow as tf

[cpu] = tf.config.list_physical_devices("CPU")
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 3)

import keras
import numpy as np

from dlrecipes import distribute
from dlrecipes.training import SupervisedTrainer

x = np.arange(1, 10, dtype="float32")[:, None] / 10
y = 3 * x * x
with distribute.strategy("mirrored").scope():
    keras.utils.set_random_seed(0)
    inputs = keras.Input((1,))
    dense = keras.layers.Dense(1, use_bias=False, kernel_initializer="ones")
    model = SupervisedTrainer(keras.Model(inputs, dense(inputs)))
    # On a replica without examples, the logarithm would be NaN.
    model.compile(OPTIMIZER, lambda y, p: tf.square(y - p) + 0 * tf.math.log(p), metrics=["mae"])
data = tf.data.Dataset.from_tensor_slices((x, y)).batch(4)
history = model.fit(data, epochs=2, shuffle=False, verbose=0, validation_data=data).history
print(json.dumps({"weight": float(dense.kernel.numpy()[0, 0]), **history}))
"""


def trained(optimizer):
    script = SCRIPT.replace("OPTIMIZER", optimizer)
    process = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert process.returncode == 0, process.stderr[-3000:]
    return json.loads(process.stdout.splitlines()[-1])


def test_a_step_on_uneven_parts_equals_one_on_a_single_device():
    x = np.arange(1, 10) / 10
    y, weight = 3 * x * x, 1.0
    expected = {name: [] for name in ("loss", "mae", "gradient_norm", "val_loss", "val_mae")}
    for _ in range(2):
        errors, norms = [], []
        for rows in (slice(0, 4), slice(4, 8), slice(8, 9)):
            error = weight * x[rows] - y[rows]
            gradient = np.mean(2 * error * x[rows])
            errors.append(error)
            norms.append(abs(gradient))
            # The gradient of the whole batch is clipped.
            weight -= 0.5 * np.clip(gradient, -0.1, 0.1)
        error, after = np.concatenate(errors), weight * x - y
        expected["loss"].append(np.mean(error**2))
        expected["mae"].append(np.mean(abs(error)))
        expected["gradient_norm"].append(np.mean(norms))
        expected["val_loss"].append(np.mean(after**2))
        expected["val_mae"].append(np.mean(abs(after)))
    results = trained("keras.optimizers.SGD(0.5, global_clipnorm=0.1)")
    assert results.pop("weight") == pytest.approx(weight, rel=1e-5)
    for name, values in expected.items():
        assert results[name] == pytest.approx(values, rel=1e-4), name
