"""Publishing: verified first, shown last, whole or not at all."""

import errno
import importlib
import json
import re
import threading

import keras
import numpy as np
import pytest
import tensorflow as tf
import yaml
from ai_edge_litert.interpreter import Interpreter

from dlrecipes.errors import PublishError, UsageError
from dlrecipes.export import publish
from dlrecipes.export.litert import LiteRTModel, convert
from dlrecipes.export.reference_outputs import assert_match
from dlrecipes.export.version import ModelVersion, versions
from dlrecipes.recipe import Exports, Quantized, Signature

# The package's attribute of that name is the function.
publish_module = importlib.import_module("dlrecipes.export.publish")


def recurrent_model():
    inputs = keras.Input((None, 3), name="x")
    hidden = keras.layers.Bidirectional(keras.layers.LSTM(4, return_sequences=True))(inputs)
    return keras.Model(inputs, keras.layers.Dense(2)(hidden))


def exports_of(model, function=None):
    function = function or (lambda x: {"scores": model(x), "total": tf.reduce_sum(model(x))})
    rng = np.random.default_rng(0)
    examples = [(rng.normal(size=(1, time, 3)).astype("float32"),) for time in (1, 2, 7)]
    endpoint = Signature(function, [tf.TensorSpec([1, None, 3], tf.float32, name="x")], examples)
    return Exports({"serving_default": endpoint}, endpoint, {"words.txt": "a\n"})


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(1)
    return recurrent_model()


def test_a_version_holds_every_artefact_and_its_card(model, tmp_path):
    folder = publish(model, tmp_path / "net", exports_of(model), "# card\n")
    assert folder == tmp_path / "net" / "1"
    names = {path.name for path in folder.iterdir()}
    assert names >= {"saved_model.pb", "variables", "model.tflite", "model.keras", "README.md"}
    assert (folder / "README.md").read_text() == "# card\n"
    assert (folder / "assets.extra" / "words.txt").read_text() == "a\n"
    assert [path.name for path in folder.parent.iterdir()] == ["1"]


def test_versions_count_up(model, tmp_path):
    (tmp_path / "7").mkdir()
    assert publish(model, tmp_path, exports_of(model), "").name == "8"
    assert versions(tmp_path) == [7, 8]


def test_an_lstm_runs_in_the_stock_lite_interpreter_at_any_length(model, tmp_path):
    path = tmp_path / "model.tflite"
    path.write_bytes(convert(exports_of(model).litert))
    lite = LiteRTModel(path)
    for time in (1, 3, 40):
        x = np.random.default_rng(time).normal(size=(1, time, 3)).astype("float32")
        np.testing.assert_allclose(lite(x=x)["scores"], model(x), atol=1e-6)


def test_an_op_that_lite_does_not_have_is_an_error_that_names_it(model):
    endpoint = Signature(
        lambda x: {"y": tf.strings.length(tf.strings.as_string(x))},
        [tf.TensorSpec([1, None, 3], tf.float32, name="x")],
        [],
    )
    with pytest.raises(PublishError, match=r"LiteRT.*StringLength|LiteRT.*AsString"):
        convert(endpoint)


def test_an_op_that_lite_does_not_have_is_told_with_its_layer():
    class Warp(keras.layers.Layer):
        def call(self, x):
            return tf.math.erfinv(x)

    x = keras.Input((3,))
    model = keras.Model(x, Warp(name="warp")(keras.layers.Dense(3)(x)), name="net")
    endpoint = Signature(
        lambda x: {"y": model(x)}, [tf.TensorSpec([None, 3], tf.float32, name="x")], []
    )
    with pytest.raises(PublishError, match=r"no built-in op Erfinv \(layer net(_\d+)?/warp"):
        convert(endpoint)


def test_what_does_not_agree_is_not_published(model, tmp_path):
    traces = []

    def unsteady(x):
        # Each graph made of it adds another number: no two artefacts can agree.
        traces.append(x)
        return {"scores": model(x) + float(len(traces))}

    with pytest.raises(PublishError, match="scores differs from the model"):
        publish(model, tmp_path / "net", exports_of(model, unsteady), "")
    assert len(traces) > 1
    assert not (tmp_path / "net").exists()


def test_a_keras_file_that_answers_otherwise_is_not_published(model, tmp_path):
    def rebuild(again):
        return exports_of(again, lambda x: {"scores": again(x) + 1, "total": tf.zeros(())})

    with pytest.raises(PublishError, match=r"model\.keras"):
        publish(model, tmp_path / "net", exports_of(model), "", rebuild)
    assert not (tmp_path / "net").exists()
    assert publish(model, tmp_path / "net", exports_of(model), "", exports_of).name == "1"


def test_nan_does_not_pass_for_agreement():
    with pytest.raises(PublishError, match="differs"):
        assert_match("x", {"a": np.array([1.0])}, {"a": np.array([np.nan])})


@pytest.mark.parametrize(
    ("found", "message"),
    [
        ({"b": np.zeros(2)}, "outputs"),
        ({"a": np.zeros(3)}, "shape"),
        ({"a": np.array([0.0, 2e-4])}, "differs"),
    ],
)
def test_disagreement_says_what_differs(found, message):
    with pytest.raises(PublishError, match=message):
        assert_match("x", {"a": np.zeros(2)}, found)


def test_no_version_is_seen_before_it_is_verified(model, tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(publish_module, "verify", lambda *_: seen.append(versions(tmp_path)))
    publish(model, tmp_path, exports_of(model), "")
    assert seen == [[]]
    assert versions(tmp_path) == [1]


@pytest.mark.parametrize(
    "error",
    [
        pytest.param(OSError(errno.ENOSPC, "No space left on device"), marks=pytest.mark.slow),
        tf.errors.ResourceExhaustedError(None, None, "write failed; No space left on device"),
    ],
)
def test_a_full_disk_leaves_nothing_and_says_so(model, tmp_path, monkeypatch, error):
    def full(folder):
        raise error

    monkeypatch.setattr(publish_module, "fsync_tree", full)
    with pytest.raises(PublishError, match="the disk is full"):
        publish(model, tmp_path, exports_of(model), "")
    assert not tmp_path.exists() or list(tmp_path.iterdir()) == []


def test_two_that_publish_at_once_get_two_versions(tmp_path):
    barrier, revealed = threading.Barrier(8), []

    def reveal(number):
        work = tmp_path / f".publishing-{number}"
        work.mkdir()
        (work / "who").write_text(str(number))
        barrier.wait()
        revealed.append(publish_module._reveal(work, tmp_path))

    threads = [threading.Thread(target=reveal, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(int(folder.name) for folder in revealed) == list(range(1, 9))
    assert sorted((folder / "who").read_text() for folder in revealed) == list("01234567")


def test_the_saved_model_needs_nothing_of_ours(model, tmp_path):
    folder = publish(model, tmp_path, exports_of(model), "")
    x = np.ones((1, 5, 3), "float32")
    found = ModelVersion(folder).function()(x=tf.constant(x))["scores"]
    np.testing.assert_allclose(found, model(x), atol=1e-6)


def quantized(model, measure, drop=0.0, formats=("float16", "dynamic", "int8")):
    rng = np.random.default_rng(0)
    examples = [(rng.uniform(-1, 1, (1, 8)).astype("float32"),) for _ in range(20)]
    endpoint = Signature(
        lambda x: {"y": model(x)}, [tf.TensorSpec([1, 8], tf.float32, name="x")], examples
    )
    smaller = Quantized(formats, examples, "closeness", measure, drop)
    return Exports({"serving_default": endpoint}, endpoint, quantized=smaller)


@pytest.fixture(scope="module")
def dense():
    keras.utils.set_random_seed(2)
    x = keras.Input((8,))
    hidden = keras.layers.Dense(1024, "relu")(x)
    return keras.Model(x, keras.layers.Dense(3, "tanh")(hidden))


def test_smaller_forms_are_measured_and_told_in_the_card(dense, tmp_path):
    x = np.linspace(-1, 1, 8, dtype="float32")[None]

    def closeness(function):
        return 1 - float(np.max(np.abs(function(x=x)["y"] - np.asarray(dense(x)))))

    folder = publish(dense, tmp_path, quantized(dense, closeness, 0.1), "# card\n")
    told = json.loads((folder / "assets.extra" / "litert.json").read_text())
    assert list(told) == [
        "model.tflite",
        "model.float16.tflite",
        "model.dynamic.tflite",
        "model.int8.tflite",
    ]
    card = (folder / "README.md").read_text()
    for name, one in told.items():
        assert one["bytes"] == (folder / name).stat().st_size
        assert one["closeness"] == closeness(LiteRTModel(folder / name))
        assert f"| `{name}` | {one['bytes']:,} | {one['closeness']:.4f} |" in card
    # Weights are of 4, 2, 1 and 1 bytes; biases of 4, 2, 4 and 4.
    weights, biases = (8 + 3) * 1024, 1024 + 3
    sizes = [one["bytes"] for one in told.values()]
    assert sizes[0] - sizes[1] > 0.8 * (2 * weights + 2 * biases)
    assert sizes[0] - sizes[3] > 0.8 * (3 * weights - 2 * 8 * 1024)
    # Values in [-1, 1] by 8 bits: steps of 1/128, of weights, sums and outputs.
    assert told["model.tflite"]["closeness"] > 1 - 1e-5
    assert 1 - 0.1 < told["model.int8.tflite"]["closeness"] < 1 - 1e-4


def test_a_form_of_8_bits_has_8_bits_outside_too(dense):
    exports = quantized(dense, lambda _: 1.0)
    content = convert(exports.litert, "int8", exports.quantized.calibration)
    runner = Interpreter(model_content=content).get_signature_runner()
    details = [*runner.get_input_details().values(), *runner.get_output_details().values()]
    assert [detail["dtype"] for detail in details] == [np.int8, np.int8]


@pytest.mark.parametrize(
    "score, said",
    [pytest.param(0.85, "0.8500", marks=pytest.mark.slow), (float("nan"), "nan")],
)
def test_a_form_that_loses_too_much_is_left_out_and_told(dense, tmp_path, capsys, score, said):
    scores = iter([0.9, 0.89, score])
    exports = quantized(dense, lambda _: next(scores), 0.02, ("float16", "int8"))
    folder = publish(dense, tmp_path / "net", exports, "")
    line = (
        f"model.int8.tflite is left out: its closeness is {said} where model.tflite has 0.9000; "
        "it may lose 0.02."
    )
    assert f"Note: {line}" in capsys.readouterr().err
    card = (folder / "README.md").read_text()
    assert line in card
    assert "| `model.float16.tflite` |" in card
    assert {path.name for path in folder.glob("*.tflite")} == {
        "model.tflite",
        "model.float16.tflite",
    }
    assert "model.int8.tflite" not in (folder / "assets.extra" / "litert.json").read_text()


def test_an_unknown_format_is_refused(dense):
    with pytest.raises(ValueError, match="kind must be"):
        convert(quantized(dense, lambda _: 1.0).litert, "int4")


def test_a_plain_keras_model_is_published_by_examples_alone(tmp_path):
    a, b = keras.Input((3,), name="a"), keras.Input((2,), name="b")
    joined = keras.layers.Concatenate()([a, b])
    model = keras.Model(
        {"a": a, "b": b},
        {"left": keras.layers.Dense(2)(joined), "right": keras.layers.Dense(1)(joined)},
    )
    rng = np.random.default_rng(0)
    examples = {name: rng.normal(size=(5, n)).astype("float32") for name, n in (("a", 3), ("b", 2))}
    folder = publish(model, tmp_path / "net", examples=examples)
    wanted = model(examples)
    found = ModelVersion(folder).function()(**{n: tf.constant(x) for n, x in examples.items()})
    lite = LiteRTModel(folder / "model.tflite")(**examples)
    for name in ("left", "right"):
        np.testing.assert_allclose(found[name], wanted[name], atol=1e-5)
        np.testing.assert_allclose(lite[name], wanted[name], atol=1e-5)
    card = (folder / "README.md").read_text()
    front, _, rest = card.removeprefix("---\n").partition("---\n")
    assert yaml.safe_load(front)["library_name"] == "keras"
    assert rest.startswith("\n# net\n")
    # The request of the card is one that a server answers.
    body = json.loads(re.search(r"curl -d '(.*)' localhost", rest)[1])["inputs"]
    found = ModelVersion(folder).function()(**{name: tf.constant(x) for name, x in body.items()})
    assert found


def test_a_plain_recurrent_model_runs_in_lite_at_any_length(tmp_path):
    model = keras.Sequential(
        [keras.Input((None, 3), name="x"), keras.layers.LSTM(4), keras.layers.Dense(2, name="y")]
    )
    x = np.random.default_rng(0).normal(size=(3, 5, 3)).astype("float32")
    folder = publish(model, tmp_path / "net", examples=x)
    lite = LiteRTModel(folder / "model.tflite")
    for time in (1, 9):
        one = np.random.default_rng(time).normal(size=(1, time, 3)).astype("float32")
        (found,) = lite(x=one).values()
        np.testing.assert_allclose(found, model(one), atol=1e-5)


def test_a_loss_of_ones_own_need_not_be_known_again(tmp_path):
    model = keras.Sequential([keras.Input((3,), name="x"), keras.layers.Dense(2)])
    model.compile("adam", lambda y, found: keras.ops.mean((y - found) ** 4))
    assert publish(model, tmp_path / "net", examples=np.ones((1, 3), "float32")).name == "1"


@pytest.mark.parametrize(
    ("examples", "said"),
    [
        (None, "signatures are wanted, or examples"),
        (np.ones((2, 4), "float32"), r"have shape \(2, 4\), which is not \(None, 3\)"),
        (np.ones((0, 3), "float32"), "x: an example at least"),
        ({"z": np.ones((1, 3))}, "Examples are given of z; the inputs are x"),
        ([np.ones((1, 3)), np.ones((1, 3))], "2 arrays of examples are given"),
    ],
)
def test_examples_that_do_not_fit_are_told(tmp_path, examples, said):
    model = keras.Sequential([keras.Input((3,), name="x"), keras.layers.Dense(2)])
    with pytest.raises(UsageError, match=said):
        publish(model, tmp_path / "net", examples=examples)
    assert not (tmp_path / "net").exists()


def test_a_model_that_does_not_tell_its_inputs_is_refused(tmp_path):
    class Mine(keras.Model):
        def call(self, x):
            return x

    with pytest.raises(UsageError, match="does not tell its inputs"):
        publish(Mine(), tmp_path / "net", examples=np.ones((1, 3)))


def test_whole_numbers_of_8_bits_are_what_they_are(tmp_path):
    endpoint = Signature(
        lambda x: {"y": tf.cast(x, tf.int8)}, [tf.TensorSpec([1, 3], tf.int32, name="x")], []
    )
    (tmp_path / "model.tflite").write_bytes(convert(endpoint))
    lite = LiteRTModel(tmp_path / "model.tflite")
    assert lite(x=np.int32([[1, 2, 3]]))["y"].tolist() == [[1, 2, 3]]


@pytest.mark.parametrize(
    ("model", "examples", "said"),
    [
        ("a model", np.ones((1, 3)), "a Keras model is wanted, not str"),
        (None, np.array([["a", "b", "c"]]), "The examples of x are no array of float32"),
        (None, [[1.0, 2.0, 3.0]], "A list is one array for each input"),
    ],
)
def test_what_cannot_be_published_is_one_line_and_leaves_nothing(tmp_path, model, examples, said):
    model = model or keras.Sequential([keras.Input((3,), name="x"), keras.layers.Dense(2)])
    with pytest.raises(UsageError) as error:
        publish(model, tmp_path / "net", examples=examples)
    assert said in str(error.value)
    assert not (tmp_path / "net").exists()


def test_inputs_of_different_numbers_of_examples_are_told(tmp_path):
    inputs = [keras.Input((3,), name="a"), keras.Input((3,), name="b")]
    model = keras.Model(inputs, keras.layers.Add()(inputs))
    with pytest.raises(UsageError, match="different numbers of examples: a 8, b 2"):
        publish(model, tmp_path / "net", examples=[np.ones((8, 3)), np.ones((2, 3))])


def test_what_is_no_number_with_the_model_is_none_elsewhere():
    values = np.float32([1, np.nan, np.inf, -np.inf])
    assert_match("x", {"y": values}, {"y": values.copy()})
    for other in ([1, 0, np.inf, -np.inf], [1, np.nan, -np.inf, -np.inf], [1, np.nan, 5, -np.inf]):
        with pytest.raises(PublishError, match="differs from the model"):
            assert_match("x", {"y": values}, {"y": np.float32(other)})
