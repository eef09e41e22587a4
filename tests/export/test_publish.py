"""Publishing: files are verified before they appear, and appear completely or not at all."""

import errno
import gzip
import importlib
import json
import shutil
import threading

import keras
import numpy as np
import pytest
import tensorflow as tf
import yaml
from ai_edge_litert.interpreter import Interpreter

from dlrecipes.errors import PublishError, UsageError
from dlrecipes.export import checksums, publish
from dlrecipes.export.litert import LiteRTModel, convert
from dlrecipes.export.new_version import rename_to_version
from dlrecipes.export.signatures import Exports, Quantized, Signature, exports_from_model
from dlrecipes.export.verification import check
from dlrecipes.export.version import ModelVersion, litert_file
from dlrecipes.export.version_folders import versions

# The package's attribute of this name is the function.
publish_module = importlib.import_module("dlrecipes.export.publish")
litert_files = importlib.import_module("dlrecipes.export.litert_files")


@pytest.fixture
def shared_litert(published, monkeypatch):
    """Takes LiteRT files from the shared version in place of converting the same model again."""
    content = (published / "model.tflite").read_bytes()
    monkeypatch.setattr(litert_files, "convert_each", lambda *_: iter([content]))


def test_a_version_has_every_file_and_its_card(published):
    names = {path.name for path in published.iterdir()}
    assert names >= {"saved_model.pb", "variables", "model.tflite", "model.keras", "README.md"}
    assert (published / "README.md").read_text() == "# card\n"
    assert (published / "assets.extra" / "words.txt").read_text() == "a\n"
    assert [path.name for path in published.parent.iterdir()] == ["1"]


def test_a_version_takes_the_next_number_once_it_is_verified(
    model, make_exports, tmp_path, monkeypatch, shared_litert
):
    (tmp_path / "7").mkdir()
    verify, seen = publish_module.verify, []

    def watched(*arguments):
        verify(*arguments)
        seen.append(versions(tmp_path))

    monkeypatch.setattr(publish_module, "verify", watched)
    assert publish(model, tmp_path, make_exports(model), "").name == "8"
    assert seen == [[7]]
    assert versions(tmp_path) == [7, 8]


def test_a_recurrent_model_runs_in_the_stock_litert_interpreter_at_any_length(tmp_path):
    keras.utils.set_random_seed(1)
    inputs = keras.Input((None, 3), name="x")
    lstm = keras.layers.LSTM(4, return_sequences=True)
    hidden = keras.layers.Bidirectional(lstm)(inputs)
    model = keras.Model(inputs, keras.layers.Dense(2, name="y")(hidden))
    exports = exports_from_model(model, np.ones((3, 5, 3), "float32"))
    # The SavedModel takes batches, LiteRT single examples.
    assert exports.signatures["serving_default"].inputs[0].shape.as_list() == [None, None, 3]
    assert exports.litert.inputs[0].shape.as_list() == [1, None, 3]
    assert [x.shape for (x,) in exports.litert.examples] == [(1, 5, 3)] * 3
    (tmp_path / "model.tflite").write_bytes(convert(exports.litert))
    lite = LiteRTModel(tmp_path / "model.tflite")
    for time in (1, 3, 40):
        x = np.random.default_rng(time).normal(size=(1, time, 3)).astype("float32")
        np.testing.assert_allclose(lite(x=x)["y"], model(x), atol=1e-6)


def test_an_unsupported_op_is_an_error_that_names_it():
    signature = Signature(
        lambda x: {"y": tf.strings.length(tf.strings.as_string(x))},
        [tf.TensorSpec([1, None, 3], tf.float32, name="x")],
        [],
    )
    with pytest.raises(PublishError, match=r"LiteRT.*StringLength|LiteRT.*AsString"):
        convert(signature)


def test_an_unsupported_op_is_reported_with_its_layer():
    class Warp(keras.layers.Layer):
        def call(self, x):
            return tf.math.erfinv(x)

    x = keras.Input((3,))
    model = keras.Model(x, Warp(name="warp")(keras.layers.Dense(3)(x)), name="net")
    signature = Signature(
        lambda x: {"y": model(x)}, [tf.TensorSpec([None, 3], tf.float32, name="x")], []
    )
    with pytest.raises(PublishError, match=r"no built-in op Erfinv \(layer net(_\d+)?/warp"):
        convert(signature)


def test_files_that_differ_from_the_model_are_not_published(
    model, make_exports, tmp_path, monkeypatch
):
    larger = make_exports(model, lambda x: {"y": model(x) + 1, "total": tf.reduce_sum(model(x))})
    content = convert(larger.litert)
    monkeypatch.setattr(litert_files, "convert_each", lambda *_: iter([content]))
    with pytest.raises(PublishError, match="y differs from the model"):
        publish(model, tmp_path / "net", make_exports(model), "", litert=True)
    assert not (tmp_path / "net").exists()


def test_a_keras_file_with_other_outputs_is_not_published(
    model, make_exports, tmp_path, shared_litert
):
    def rebuild(loaded):
        return make_exports(loaded, lambda x: {"y": loaded(x) + 1, "total": tf.zeros(())})

    with pytest.raises(PublishError, match=r"model\.keras"):
        publish(model, tmp_path / "net", make_exports(model), "", rebuild)
    assert not (tmp_path / "net").exists()


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        tf.errors.ResourceExhaustedError(None, None, "write failed; No space left on device"),
    ],
)
def test_a_full_disk_leaves_nothing_and_is_reported(
    model, make_exports, tmp_path, monkeypatch, shared_litert, error
):
    def full(folder):
        raise error

    monkeypatch.setattr(publish_module, "fsync_tree", full)
    with pytest.raises(PublishError, match="the disk is full"):
        publish(model, tmp_path / "net", make_exports(model), "")
    assert not (tmp_path / "net").exists()


def test_processes_that_publish_at_the_same_time_get_different_versions(tmp_path):
    barrier, folders = threading.Barrier(8), []

    def rename(number):
        work = tmp_path / f".publishing-{number}"
        work.mkdir()
        (work / "who").write_text(str(number))
        barrier.wait()
        folders.append(rename_to_version(work, tmp_path))

    threads = [threading.Thread(target=rename, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(int(folder.name) for folder in folders) == list(range(1, 9))
    assert sorted((folder / "who").read_text() for folder in folders) == list("01234567")


def test_a_version_after_the_largest_number_is_refused(model, make_exports, tmp_path):
    """Nobody would find it: folders with larger numbers are not versions."""
    (tmp_path / "net" / str(2**63 - 1)).mkdir(parents=True)
    with pytest.raises(PublishError, match="is the largest version number"):
        publish(model, tmp_path / "net", make_exports(model))
    assert [path.name for path in (tmp_path / "net").iterdir()] == [str(2**63 - 1)]


def test_the_saved_model_runs_without_the_python_code(model, published):
    x = np.ones((2, 3), "float32")
    outputs = ModelVersion(published).function()(x=tf.constant(x))
    np.testing.assert_allclose(outputs["y"], model(x), atol=1e-6)


def quantized(model, measure, drop=0.0, formats=("float16", "dynamic", "int8")):
    rng = np.random.default_rng(0)
    examples = [(rng.uniform(-1, 1, (1, 8)).astype("float32"),) for _ in range(20)]
    signature = Signature(
        lambda x: {"y": model(x)}, [tf.TensorSpec([1, 8], tf.float32, name="x")], examples
    )
    smaller = Quantized(formats, examples, "closeness", measure, drop)
    return Exports({"serving_default": signature}, signature, quantized=smaller)


@pytest.fixture(scope="module")
def wide():
    keras.utils.set_random_seed(2)
    x = keras.Input((8,))
    hidden = keras.layers.Dense(1024, "relu")(x)
    return keras.Model(x, keras.layers.Dense(3, "tanh")(hidden))


@pytest.fixture(scope="module")
def closeness(wide):
    x = np.linspace(-1, 1, 8, dtype="float32")[None]
    return lambda function: 1 - float(np.max(np.abs(function(x=x)["y"] - np.asarray(wide(x)))))


@pytest.fixture(scope="module")
def formats(wide, closeness, tmp_path_factory):
    """A version with all LiteRT formats."""
    folder = tmp_path_factory.mktemp("formats")
    return publish(wide, folder, quantized(wide, closeness, 0.1), "# card\n")


@pytest.mark.parametrize("kind", ["float16", "dynamic", "int8"])
def test_a_smaller_format_with_other_weights_is_not_in_order(
    wide, closeness, formats, tmp_path, kind
):
    lines = list(check(formats))
    assert f"model.{kind}.tflite: matches the model on 2 examples" in lines
    copy = shutil.copytree(formats, tmp_path / "1")
    other = keras.models.clone_model(wide)
    other.set_weights([-weight for weight in wide.get_weights()])
    signature = quantized(other, closeness).litert
    content = convert(signature, kind, signature.examples)
    (copy / f"model.{kind}.tflite").write_bytes(content)
    checksums.write(copy)
    with pytest.raises(PublishError, match=f"model.{kind}.tflite: y differs from the model"):
        list(check(copy))


def test_smaller_formats_are_measured_and_listed_in_the_card(formats, closeness):
    rows = json.loads((formats / "assets.extra" / "litert.json").read_text())
    assert list(rows) == [
        "model.tflite",
        "model.float16.tflite",
        "model.dynamic.tflite",
        "model.int8.tflite",
    ]
    card = (formats / "README.md").read_text()
    for name, row in rows.items():
        assert row["bytes"] == (formats / name).stat().st_size
        assert row["closeness"] == closeness(LiteRTModel(formats / name))
        assert row["gzip_bytes"] == len(gzip.compress((formats / name).read_bytes(), 6))
        assert (
            f"| `{name}` | {row['format']} | {row['bytes']:,} | {row['gzip_bytes']:,} | "
            f"{row['milliseconds']:g} | {row['closeness']:.4f} |"
        ) in card
    # Weights have 4, 2, 1 and 1 bytes; biases have 4, 2, 4 and 4.
    weights, biases = (8 + 3) * 1024, 1024 + 3
    sizes = [row["bytes"] for row in rows.values()]
    assert sizes[0] - sizes[1] > 0.8 * (2 * weights + 2 * biases)
    assert sizes[0] - sizes[3] > 0.8 * (3 * weights - 2 * 8 * 1024)
    # With 8 bits, values in [-1, 1] have steps of 1/128: weights, sums and outputs.
    assert rows["model.tflite"]["closeness"] > 1 - 1e-5
    assert 1 - 0.1 < rows["model.int8.tflite"]["closeness"] < 1 - 1e-4


def test_int8_files_have_int8_inputs_and_outputs(formats):
    content = (formats / "model.int8.tflite").read_bytes()
    runner = Interpreter(model_content=content).get_signature_runner()
    details = [*runner.get_input_details().values(), *runner.get_output_details().values()]
    assert [detail["dtype"] for detail in details] == [np.int8, np.int8]


@pytest.mark.parametrize(("score", "listed"), [(0.85, "0.8500"), (float("nan"), "nan")])
def test_a_format_that_loses_too_much_is_left_out_with_a_note(
    wide, formats, tmp_path, monkeypatch, capsys, score, listed
):
    def shared(signature, kinds, calibration, layers):
        return ((formats / litert_file(kind)).read_bytes() for kind in kinds)

    monkeypatch.setattr(litert_files, "convert_each", shared)
    scores = iter([0.9, 0.89, score])
    exports = quantized(wide, lambda _: next(scores), 0.02, ("float16", "int8"))
    folder = publish(wide, tmp_path / "net", exports)
    line = (
        f"model.int8.tflite is left out: its closeness is {listed}, compared with 0.9000 for "
        "model.tflite; the allowed decrease is 0.02."
    )
    assert f"Note: {line}" in capsys.readouterr().err
    card = (folder / "README.md").read_text()
    assert line in card
    assert "| `model.float16.tflite` |" in card
    # The usage section describes the files that are there.
    assert "`model.float16.tflite` is called in the same way." in card
    assert "`model.int8.tflite`" not in card
    assert {path.name for path in folder.glob("*.tflite")} == {
        "model.tflite",
        "model.float16.tflite",
    }
    assert "model.int8.tflite" not in (folder / "assets.extra" / "litert.json").read_text()


@pytest.fixture(scope="module")
def two_inputs(tmp_path_factory):
    """A plain Keras model with structured inputs, a loss of its own, and its published version."""
    a, b = keras.Input((3,), name="a"), keras.Input((2,), name="b")
    joined = keras.layers.Concatenate()([a, b])
    model = keras.Model(
        {"a": a, "b": b},
        {"left": keras.layers.Dense(2)(joined), "right": keras.layers.Dense(1)(joined)},
    )
    model.compile("adam", lambda y, y_pred: keras.ops.mean((y - y_pred) ** 4))
    rng = np.random.default_rng(0)
    examples = {name: rng.normal(size=(5, n)).astype("float32") for name, n in (("a", 3), ("b", 2))}
    directory = tmp_path_factory.mktemp("two inputs") / "net"
    return model, examples, publish(model, directory, examples=examples)


def test_a_plain_keras_model_needs_only_examples(two_inputs):
    model, examples, folder = two_inputs
    expected = model(examples)
    function = ModelVersion(folder).function()
    outputs = function(**{name: tf.constant(x) for name, x in examples.items()})
    lite = LiteRTModel(folder / "model.tflite")(**examples)
    for name in ("left", "right"):
        np.testing.assert_allclose(outputs[name], expected[name], atol=1e-5)
        np.testing.assert_allclose(lite[name], expected[name], atol=1e-5)


def test_a_plain_card_has_front_matter_and_usage(two_inputs):
    _, _, folder = two_inputs
    card = (folder / "README.md").read_text()
    front, _, rest = card.removeprefix("---\n").partition("---\n")
    assert yaml.safe_load(front)["library_name"] == "keras"
    assert rest.startswith("\n# net\n")
    assert "\n## Usage\n\n### Signature `serving_default`\n" in rest
    assert " localhost:8501/v1/models/net:predict\n" in rest


def test_a_model_with_an_unregistered_loss_is_published(two_inputs):
    model, examples, folder = two_inputs
    loaded = ModelVersion(folder).keras_model(compile=False)
    np.testing.assert_allclose(loaded(examples)["left"], model(examples)["left"])


@pytest.mark.parametrize(
    ("examples", "message"),
    [
        (None, "expected signatures, or examples"),
        (np.ones((2, 4), "float32"), r"with shape \(None, 3\), got \(2, 4\)"),
        (np.ones((0, 3), "float32"), "x: expected at least one example"),
        ({"z": np.ones((1, 3))}, "Expected examples of the inputs x, got z"),
        ([np.ones((1, 3)), np.ones((1, 3))], "expected 1 array of examples, for x, got 2"),
        (np.array([["a", "b", "c"]]), "examples of x cannot be converted to an array of float32"),
        ([[1.0, 2.0]], "A list holds one array per input"),
    ],
)
def test_examples_that_do_not_fit_are_rejected(model, tmp_path, examples, message):
    with pytest.raises(UsageError, match=message):
        publish(model, tmp_path / "net", examples=examples)
    assert not (tmp_path / "net").exists()


def test_a_model_whose_inputs_cannot_be_inferred_is_rejected(tmp_path):
    class Mine(keras.Model):
        def call(self, x):
            return x

    with pytest.raises(UsageError, match="cannot infer the model's inputs"):
        publish(Mine(), tmp_path / "net", examples=np.ones((1, 3)))


def test_int8_integers_are_not_dequantized(tmp_path):
    signature = Signature(
        lambda x: {"y": tf.cast(x, tf.int8)}, [tf.TensorSpec([1, 3], tf.int32, name="x")], []
    )
    (tmp_path / "model.tflite").write_bytes(convert(signature))
    lite = LiteRTModel(tmp_path / "model.tflite")
    assert lite(x=np.int32([[1, 2, 3]]))["y"].tolist() == [[1, 2, 3]]


def test_an_object_that_is_not_a_keras_model_is_rejected(tmp_path):
    with pytest.raises(UsageError, match="expected a Keras model, got str"):
        publish("a model", tmp_path / "net", examples=np.ones((1, 3)))
    assert not (tmp_path / "net").exists()


def test_inputs_with_different_numbers_of_examples_are_rejected(tmp_path):
    inputs = [keras.Input((3,), name="a"), keras.Input((3,), name="b")]
    model = keras.Model(inputs, keras.layers.Add()(inputs))
    with pytest.raises(UsageError, match="different numbers of examples: a 8, b 2"):
        publish(model, tmp_path / "net", examples=[np.ones((8, 3)), np.ones((2, 3))])
