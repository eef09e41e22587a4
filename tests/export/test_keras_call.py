"""Keras models as functions: every structure of inputs and outputs, with the model's results."""

from collections import OrderedDict

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from dlrecipes.errors import PublishError, UsageError
from dlrecipes.export import onnx
from dlrecipes.export.litert import LiteRTModel, concrete_function, convert
from dlrecipes.export.publish import write_saved_model
from dlrecipes.export.reference_outputs import assert_match, check_graph
from dlrecipes.export.signatures import exports_from_model

RNG = np.random.default_rng(0)


def normal(*shape):
    return RNG.normal(size=shape).astype("float32")


A, B, X = normal(4, 3), normal(4, 3), normal(4, 5, 3)


def two_inputs(outputs, inputs=list):
    """Returns a model of the inputs `a` and `b`, in a list or a dictionary."""
    a, b = keras.Input((3,), name="a"), keras.Input((3,), name="b")
    head = layers.Dense(2, name="head")
    return keras.Model([a, b] if inputs is list else inputs(a, b), outputs(head(a), head(b)))


def encoder():
    """Returns the encoder of a sequence-to-sequence model: outputs, hidden and cell state."""
    x = keras.Input((None, 3), name="x")
    states = layers.LSTM(4, return_sequences=True, return_state=True, name="state")(x)
    return keras.Model(x, states)


class Halves(layers.Layer):
    def call(self, x):
        return x[:, :1], x[:, 1:]


def halves():
    x = keras.Input((3,), name="x")
    return keras.Model(x, Halves(name="halves")(x))


class Calls(keras.Model):
    """A model with a `call` of its own: the sum of its tensors after a dense layer."""

    def __init__(self):
        super().__init__()
        self.dense = layers.Dense(2)

    def combine(self, *tensors):
        return self.dense(tensors[0]) + sum(2 * self.dense(x) for x in tensors[1:])


class Single(Calls):
    def call(self, inputs):
        return self.combine(inputs)


class ByName(Calls):
    def call(self, inputs, training=None):
        return {"sum": self.combine(inputs["a"], inputs["b"]), 1: self.dense(inputs["a"])}


class ByPosition(Calls):
    def call(self, inputs):
        return [self.combine(*inputs), None]


class Arguments(Calls):
    def call(self, query, context):
        return self.combine(query, context)


class Optional(Calls):
    def call(self, query, context=None):
        return self.combine(query, *([] if context is None else [context]))


def called(model, *arguments):
    model(*arguments)
    return model


def traced(model, examples):
    """Returns the outputs of a model's graph, after a comparison with the model's own."""
    signature = exports_from_model(model, examples).signatures["serving_default"]
    function = concrete_function(signature)
    check_graph("graph", signature, function)
    pairs = zip(signature.inputs, signature.examples[0], strict=True)
    outputs = function(*(tf.constant(value, spec.dtype) for spec, value in pairs))
    return [spec.name for spec in signature.inputs], outputs


SEVERAL = {
    "states of an LSTM": (encoder, X, ["state", "state_1", "state_2"], lambda model: model(X)),
    "a shared layer": (
        lambda: two_inputs(lambda a, b: [a, b]),
        [A, B],
        ["head", "head_1"],
        lambda model: model([A, B]),
    ),
    "a layer that returns two tensors": (
        halves,
        A,
        ["output_0", "output_1"],
        lambda model: model(A),
    ),
    "nested": (
        lambda: two_inputs(lambda a, b: {"heads": [a, b], "last": b}),
        {"b": B, "a": A},
        ["heads_0", "heads_1", "last"],
        lambda model: keras.tree.flatten(model([A, B])),
    ),
}


@pytest.mark.parametrize("case", SEVERAL)
def test_every_output_of_a_model_is_published_with_its_own_name(case):
    make, examples, names, own = SEVERAL[case]
    model = make()
    _, outputs = traced(model, examples)
    assert sorted(outputs) == names
    for name, expected in zip(names, own(model), strict=True):
        np.testing.assert_allclose(outputs[name], expected, atol=1e-6)


def test_all_formats_have_all_states_of_an_encoder(tmp_path):
    model = encoder()
    exports = exports_from_model(model, X)
    (tmp_path / "model.tflite").write_bytes(convert(exports.litert))
    files = [LiteRTModel(tmp_path / "model.tflite")]
    if onnx.can_run():
        (tmp_path / "model.onnx").write_bytes(onnx.convert(exports.litert))
        files.append(onnx.OnnxModel(tmp_path / "model.onnx"))
    function = concrete_function(exports.signatures["serving_default"])
    write_saved_model(model, tmp_path / "saved", {"serving_default": function})
    files.append(tf.saved_model.load(str(tmp_path / "saved")).signatures["serving_default"])
    own = dict(zip(["state", "state_1", "state_2"], model(X[:1]), strict=True))
    for call in files:
        outputs = call(x=tf.constant(X[:1]) if call is files[-1] else X[:1])
        assert set(outputs) == set(own)
        for name, expected in own.items():
            np.testing.assert_allclose(outputs[name], expected, atol=1e-5)


def test_a_graph_without_one_of_the_outputs_is_rejected():
    signature = exports_from_model(encoder(), X).signatures["serving_default"]
    with pytest.raises(PublishError, match=r"graph: outputs \['state'\] where the model has"):
        check_graph("graph", signature, lambda x: {"state": signature.function(x)["state"]})


def test_examples_by_name_may_be_in_any_order():
    difference = lambda a, b: a - b  # noqa: E731
    for inputs in (list, lambda a, b: {"b": b, "a": a}, lambda a, b: {"a": a, "b": b}):
        model = two_inputs(difference, inputs)
        head = model.get_layer("head")
        for examples in ({"a": A, "b": B}, {"b": B, "a": A}):
            _, outputs = traced(model, examples)
            np.testing.assert_allclose(*outputs.values(), head(A) - head(B), atol=1e-6)


def test_an_ordered_dictionary_that_keras_mixes_up_is_rejected():
    model = two_inputs(lambda a, b: a - b, lambda a, b: OrderedDict(b=b, a=a))
    with pytest.raises(UsageError, match="OrderedDict in the order b, a, and Keras mixes"):
        exports_from_model(model, {"a": A, "b": B})


def test_unnamed_inputs_have_stable_names(tmp_path):
    inputs = [keras.Input((3,)), keras.Input((3,), name="b"), keras.Input((3,))]
    model = keras.Model(inputs, layers.Add(name="sum")(inputs))
    model.save(tmp_path / "net.keras")
    for again in (model, keras.saving.load_model(tmp_path / "net.keras")):
        names, _ = traced(again, {"input": A, "b": B, "input_1": A})
        assert names == ["input", "b", "input_1"]
        # Keras' own names are accepted as well.
        keras_names = [tensor.name for tensor in again.inputs]
        assert traced(again, dict(zip(keras_names, (A, B, A), strict=True)))[0] == names


def test_inputs_of_a_dictionary_have_its_keys():
    x, y = keras.Input((3,)), keras.Input((3,))
    with pytest.warns(UserWarning, match="keys in the dict must match"):
        model = keras.Model({"left": [x], "right": y}, x - y)
    names, outputs = traced(model, {"right": B, "left": [A]})
    assert names == ["left_0", "right"]
    np.testing.assert_allclose(*outputs.values(), A - B, atol=1e-6)


def test_names_that_are_not_valid_are_changed_and_kept_for_the_card():
    inputs = [keras.Input((3,), name=name) for name in ("User-ID", "名", "class")]
    model = keras.Model(inputs, layers.Add(name="sum")(inputs))
    for examples in ([A, B, A], {"class": A, "名": B, "User_ID": A}):
        signature = exports_from_model(model, examples).signatures["serving_default"]
        assert [spec.name for spec in signature.inputs] == ["User_ID", "input", "class_"]
        assert signature.given_names == {"User_ID": "User-ID", "input": "名", "class_": "class"}


@pytest.mark.parametrize(
    ("make", "examples", "names", "own"),
    [
        (lambda: called(Single(), A), A, ["inputs"], lambda model: [model(A)]),
        (lambda: called(Single(), A), A.tolist(), ["inputs"], lambda model: [model(A)]),
        (
            lambda: called(ByName(), {"a": A, "b": B}),
            {"b": B, "a": A},
            ["a", "b"],
            lambda model: [model({"a": A, "b": B})[key] for key in (1, "sum")],
        ),
        (
            lambda: called(ByPosition(), [A, B]),
            [A, B],
            ["inputs_0", "inputs_1"],
            lambda model: [model([A, B])[0]],
        ),
        (
            lambda: called(Arguments(), A, B),
            [A, B],
            ["context", "query"],
            lambda model: [model(A, B)],
        ),
        (
            lambda: called(Arguments(), A, B),
            {"context": B, "query": A},
            ["context", "query"],
            lambda model: [model(A, B)],
        ),
        (lambda: called(Optional(), A), A, ["query"], lambda model: [model(A)]),
        (
            lambda: called(Optional(), A, B),
            (A, B),
            ["context", "query"],
            lambda model: [model(A, B)],
        ),
        (
            lambda: called(Optional(), A, B),
            {"query": A, "context": None},
            ["query"],
            lambda model: [model(A)],
        ),
    ],
)
def test_a_model_with_its_own_call_is_published_as_its_examples_are(make, examples, names, own):
    model = make()
    inputs, outputs = traced(model, examples)
    assert inputs == names
    expected = own(model)
    assert len(outputs) == len(expected)
    for name, value in zip(sorted(outputs), expected, strict=True):
        np.testing.assert_allclose(outputs[name], value, atol=1e-6)


def test_a_model_with_several_arguments_is_saved(tmp_path):
    # Keras' own signature, which it adds to a saved model, takes one argument.
    model = called(Arguments(), A, B)
    function = concrete_function(exports_from_model(model, (A, B)).signatures["serving_default"])
    write_saved_model(model, tmp_path, {"serving_default": function})
    loaded = tf.saved_model.load(str(tmp_path)).signatures["serving_default"]
    outputs = loaded(query=tf.constant(A), context=tf.constant(B))
    np.testing.assert_allclose(outputs["output_0"], model(A, B), atol=1e-6)


class AddIfGiven(layers.Layer):
    def call(self, x, y=None):
        return x if y is None else x + y

    def compute_output_shape(self, shape, *_):
        return shape


def test_an_optional_input_is_published_if_it_has_examples():
    x, y = keras.Input((3,), name="x"), keras.Input((3,), name="y", optional=True)
    model = keras.Model({"x": x, "y": y}, AddIfGiven(name="sum")(x, y))
    for examples, names, expected in (
        ({"x": A, "y": B}, ["x", "y"], A + B),
        ({"x": A, "y": None}, ["x"], A),
        ({"x": A}, ["x"], A),
    ):
        inputs, outputs = traced(model, examples)
        assert inputs == names
        np.testing.assert_allclose(outputs["sum"], expected, atol=1e-6)


def test_a_sparse_input_takes_dense_tensors():
    x = keras.Input((5,), sparse=True, name="x")
    model = keras.Model(x, layers.Dense(2, name="y")(x))
    dense = np.eye(5, dtype="float32")[:3]
    for examples in (dense, tf.sparse.from_dense(dense)):
        names, outputs = traced(model, examples)
        assert names == ["x"]
        np.testing.assert_allclose(outputs["y"], model(tf.sparse.from_dense(dense)), atol=1e-6)


def ragged_mean():
    x = keras.Input((None,), dtype="int64", ragged=True, name="x")
    mean = layers.GlobalAveragePooling1D(name="mean")
    return keras.Model(x, mean(layers.Embedding(9, 2)(x)))


def test_a_ragged_input_takes_padded_rows_and_their_lengths():
    model, rows = ragged_mean(), [[1, 2, 3], [4]]
    expected = model(tf.ragged.constant(rows, dtype=tf.int64))
    for examples in (rows, tf.ragged.constant(rows)):
        names, outputs = traced(model, examples)
        assert names == ["x", "x_lengths"]
        np.testing.assert_allclose(outputs["mean"], expected, atol=1e-6)


class OfFour(layers.Layer):
    def call(self, x):
        return keras.ops.reshape(x, (4, 3, 1))


def test_a_fixed_batch_size_is_kept_only_if_the_model_needs_it():
    x = keras.Input((3,), batch_size=4, name="x")
    free, fixed = keras.Model(x, layers.Dense(2)(x)), keras.Model(x, OfFour(name="four")(x))
    for model, size in ((free, None), (fixed, 4)):
        (spec,) = exports_from_model(model, np.tile(A, (2, 1))).signatures["serving_default"].inputs
        assert spec.shape.as_list() == [size, 3]
    with pytest.raises(UsageError, match="at least 4 examples, because the model works only"):
        exports_from_model(fixed, A[:2])


def stateful(wrap=lambda layer: layer):
    x = keras.Input((5, 3), batch_size=4)
    return keras.Model(x, wrap(layers.LSTM(2, stateful=True, name="memory"))(x))


class Reads(keras.Model):
    """Uses NumPy in its `call`, which a graph cannot."""

    def call(self, x):
        return x.numpy() * 2


@pytest.mark.parametrize(
    ("make", "examples", "message"),
    [
        (Single, A, "it was never built, and has no weights yet"),
        (lambda: keras.Sequential([layers.Dense(2)]), A, "it was never built"),
        (stateful, X, "layer memory is stateful, so a served model would mix"),
        (lambda: stateful(layers.Bidirectional), X, "is stateful"),
        (lambda: called(Single(), A), A[:, :2], "cannot be called on the examples: .*Input 0"),
        (
            lambda: called(ByName(), {"a": A, "b": B}),
            {"b": B},
            "on the examples: .*there is no 'a'",
        ),
        (lambda: called(Arguments(), A, B), A, "arguments query, context, got one array"),
        (lambda: called(Arguments(), A, B), {"a": A}, "arguments query, context, got a"),
        (lambda: two_inputs(lambda a, b: a - b), {"a": A}, "of the inputs a, b, got a"),
        (lambda: two_inputs(lambda a, b: a - b), [A, None], "the examples of b are None"),
    ],
)
def test_a_model_or_examples_that_cannot_be_published_are_rejected_in_one_line(
    make, examples, message
):
    with pytest.raises(UsageError, match=message) as error:
        exports_from_model(make(), examples)
    assert "\n" not in str(error.value)
    assert error.value.hint


def test_code_that_is_not_a_graph_is_one_line():
    exports = exports_from_model(called(Reads(), A), A)
    with pytest.raises(PublishError, match=r"cannot be traced as a graph: .*no attribute 'numpy'"):
        concrete_function(exports.litert)


def test_outputs_are_compared_by_name_and_number():
    with pytest.raises(PublishError, match="outputs"):
        assert_match("file", {"a": A, "b": B}, {"a": A})
