"""The card's table lists sizes, zeros, times and metric of each file, and of the teacher's."""

import importlib
import json
import re

import keras
import numpy as np
import pytest
import tensorflow as tf

from dlrecipes.errors import PublishError
from dlrecipes.export import publish
from dlrecipes.export.litert import LATENCY_CALLS, WARM_UP_CALLS, convert, latencies
from dlrecipes.export.signatures import Exports, Quantized, Reference, Signature
from dlrecipes.export.weight_zeros import weight_zeros

litert_files = importlib.import_module("dlrecipes.export.litert_files")

KERNELS = {"conv": (3, 3, 2, 8), "depthwise": (3, 3, 8, 1), "hidden": (72, 40), "scores": (40, 1)}
# Eighty percent of each kernel that is counted; the depthwise one is not.
COUNTED = ("conv", "hidden", "scores")
X = np.random.default_rng(0).normal(size=(30, 9, 9, 2)).astype("float32")


def network(fraction):
    keras.utils.set_random_seed(1)
    x = keras.Input((9, 9, 2), name="x")
    y = keras.layers.Conv2D(8, 3, name="conv", use_bias=False)(x)
    y = keras.layers.ReLU()(keras.layers.BatchNormalization()(y))
    y = keras.layers.DepthwiseConv2D(3, name="depthwise")(keras.layers.MaxPooling2D(2, 1)(y))
    y = keras.layers.MaxPooling2D(2, 1)(y)
    y = keras.layers.Flatten()(y)
    hidden = keras.layers.Dense(40, "relu", name="hidden")(y)
    model = keras.Model(x, keras.layers.Dense(1, name="scores")(hidden))
    for name in COUNTED:
        kernel = model.get_layer(name).kernel
        values = kernel.numpy()
        values.flat[: round(fraction * values.size)] = 0
        kernel.assign(values)
    return model


def exports_of(model, sparsity, measure=None, formats=("float16", "dynamic", "int8"), **kwargs):
    signature = Signature(
        lambda x: {"y": model(x)}, [tf.TensorSpec([None, 9, 9, 2], tf.float32, name="x")], [(X,)]
    )
    smaller = None
    if measure:
        calibration = [(x[None],) for x in X]
        smaller = Quantized(formats, calibration, "accuracy", measure, 0.5, **kwargs)
    return Exports({"serving_default": signature}, signature, quantized=smaller, sparsity=sparsity)


@pytest.fixture(scope="module")
def teacher(tmp_path_factory):
    path = tmp_path_factory.mktemp("teacher") / "model.tflite"
    path.write_bytes(convert(exports_of(network(0), None).litert))
    return path


@pytest.fixture(scope="module")
def pruned(teacher, tmp_path_factory):
    model = network(0.8)
    # The optimizer's slots have the kernels' shapes.
    model.compile("adam", "mse")
    model.optimizer.build(model.trainable_variables)
    exports = exports_of(
        model, 0.8, lambda f: float(len(f(x=X)["y"])), method="pruned",
        references={"teacher, version 1": Reference(teacher)},
    )  # fmt: skip
    return model, publish(model, tmp_path_factory.mktemp("pruned"), exports)


def rows_of(folder):
    lines = (folder / "README.md").read_text().partition("## Formats")[2].splitlines()
    header, _, *rows = [line.strip("| ").split(" | ") for line in lines if line.startswith("|")]
    return {row[0]: dict(zip(header, row, strict=False)) for row in rows}


def fraction(folder, model):
    counts = [model.get_layer(name).kernel.numpy() for name in COUNTED]
    return sum(np.sum(k == 0) for k in counts) / sum(k.size for k in counts)


def test_every_file_has_the_zeros_of_the_model(pruned):
    model, folder = pruned
    zeros = weight_zeros(folder, model, 0.8)
    files = {path.name for path in folder.glob("model.*")}
    assert set(zeros) == files | {"saved_model.pb"}
    assert len(files) == 5
    exact = fraction(folder, model)
    assert abs(exact - 0.8) < 1e-3
    for name, value in zeros.items():
        # In int8, weights below half a step become zero as well.
        assert exact <= value < 0.85, name
        if "int8" not in name and "dynamic" not in name:
            assert value == exact, name


def test_the_table_lists_zeros_and_compressed_bytes_of_every_file(pruned):
    _, folder = pruned
    rows, measured = rows_of(folder), json.loads((folder / "assets.extra/litert.json").read_text())
    assert list(rows) == [*(f"`{n}`" for n in list(measured)[:4]), "teacher, version 1",
                          "`saved_model.pb`", "`model.keras`"]  # fmt: skip
    assert rows["`model.int8.tflite`"]["format"] == "int8, pruned"
    for name, row in rows.items():
        if name != "teacher, version 1":
            assert 80 <= float(row["zero weights"].rstrip("%")) < 85, name
    sizes = {name: int(row["compressed"].replace(",", "")) for name, row in rows.items()}
    # Zeros are compressed: of 3,072 weights in 4 bytes, a fifth is left.
    assert sizes["`model.tflite`"] < sizes["teacher, version 1"] - 0.5 * 4 * 3072
    assert all(row["accuracy, test"] == "30.0000" for row in list(rows.values())[:5])
    assert measured["teacher, version 1"]["milliseconds"] > 0


def test_zeros_are_listed_without_smaller_formats(tmp_path):
    folder = publish(network(0.8), tmp_path / "net", exports_of(network(0.8), 0.8))
    assert list(rows_of(folder)) == ["`model.tflite`", "`saved_model.pb`", "`model.keras`"]
    assert "accuracy" not in (folder / "README.md").read_text().partition("## Formats")[2]


def test_a_model_with_fewer_zeros_is_not_published(tmp_path):
    model = network(0.5)
    with pytest.raises(PublishError, match=r"0\.50\d\d of its weights is zero.* 0\.79\d\d"):
        publish(model, tmp_path / "net", exports_of(model, 0.8), litert=False)
    assert not (tmp_path / "net").exists()


@pytest.mark.parametrize("kind", ["float16", "dynamic", "int8"])
def test_a_file_with_fewer_zeros_is_found(pruned, tmp_path, kind):
    model, folder = pruned
    other = exports_of(network(0.5), None).litert
    path = folder / f"model.{kind}.tflite"
    content = path.read_bytes()
    path.write_bytes(convert(other, kind, [(x[None],) for x in X]))
    try:
        with pytest.raises(PublishError, match=rf"model\.{kind}\.tflite: a fraction of 0\.5\d"):
            weight_zeros(folder, model, 0.8)
    finally:
        path.write_bytes(content)


def test_a_file_without_a_kernel_is_found(pruned):
    _, folder = pruned
    x = keras.Input((72,))
    other = keras.Model(x, keras.layers.Dense(41, kernel_initializer="zeros")(x))
    message = re.escape("no weights for the kernel of shape (72, 41)")
    with pytest.raises(PublishError, match=message):
        weight_zeros(folder, other, 0.8)


class Slow:
    def __init__(self, clock, seconds):
        self.clock, self.seconds, self.sizes = clock, seconds, []

    def __call__(self, x):
        self.sizes.append(len(x))
        self.clock[0] += self.seconds


@pytest.mark.parametrize(
    "seconds, calls", [(0.001, WARM_UP_CALLS + LATENCY_CALLS), (0.09, 4), (1.0, 4)]
)
def test_slow_models_are_called_a_few_times_with_one_example(monkeypatch, seconds, calls):
    clock = [0.0]
    monkeypatch.setattr("dlrecipes.export.litert.time.perf_counter", lambda: clock[0])
    models = {"one": Slow(clock, seconds), "two": Slow(clock, 2 * seconds)}
    times = latencies(models, exports_of(network(0), None).litert)
    assert times == pytest.approx({"one": 1000 * seconds, "two": 2000 * seconds})
    # Once after the calls that warm up, at least.
    assert models["one"].sizes == [1] * calls
