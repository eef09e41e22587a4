"""The request in a model's card: sent to `dlrecipes serve`, it is answered with all outputs."""

import json
import re
import subprocess

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers
from starlette.testclient import TestClient

from dlrecipes.export import Exports, Signature
from dlrecipes.export.litert import LiteRTModel, concrete_function, convert
from dlrecipes.export.publish import write_saved_model
from dlrecipes.export.signatures import exports_from_model
from dlrecipes.export.usage import usage
from dlrecipes.serving.server import Settings, application
from dlrecipes.serving.store import ModelStore

# A space and quotation marks, in a shell and in an address.
MODEL = "it's my model"
NAMES = [
    "User-ID",
    "user_id",
    "1st",
    "two words",
    "x.y",
    "x:0",
    "用户",
    "名",
    "prénom",
    "class",
    "self",
    "from",
    "_hidden",
    "n" * 200,
]


def keras_signature(model, examples):
    return exports_from_model(model, examples).signatures["serving_default"]


def named(names, kind=float):
    inputs = [keras.Input((2,), name=name) for name in names]
    examples = [np.full((3, 2), k, kind) for k in range(len(names))]
    total = layers.Add(name="sum")(inputs) if len(names) > 1 else inputs[0] * 2
    return keras_signature(keras.Model(inputs, total), examples)


def typed(dtype):
    x = keras.Input((2,), dtype=dtype, name="x")
    return keras_signature(keras.Model(x, layers.Rescaling(0.5)(x)), np.array([[1, 0], [0, 1]]))


def nested_outputs():
    x = keras.Input((2,))
    head = layers.Dense(1, name="head")
    model = keras.Model(x, {"heads": [head(x), head(-x)], "x/2": x / 2})
    return keras_signature(model, np.ones((2, 2)))


def states():
    x = keras.Input((None, 2), name="x")
    lstm = layers.LSTM(3, return_sequences=True, return_state=True)
    return keras_signature(keras.Model(x, lstm(x)), np.ones((2, 4, 2)))


def ragged():
    x = keras.Input((None,), dtype="int64", ragged=True, name="表")
    mean = layers.GlobalAveragePooling1D(name="mean")
    return keras_signature(keras.Model(x, mean(layers.Embedding(9, 2)(x))), [[1, 2, 3], [4]])


def scalars_and_texts():
    def function(text, number):
        return {"text": tf.strings.join([text, "!"]), "next": number + 1}

    specs = [tf.TensorSpec([None], tf.string, "the text"), tf.TensorSpec([None], tf.int64, "n-th")]
    return Signature(function, specs, [(np.array(["l'été"], object), np.int64([7]))])


def image(dtype):
    x = keras.Input((9, 9, 1), dtype=dtype, name="grey-image")
    return keras_signature(keras.Model(x, layers.Flatten()(x)), np.ones((2, 9, 9, 1)))


SIGNATURES = {
    **{f"the name {name[:9]}": lambda name=name: named([name]) for name in NAMES},
    "all names": lambda: named(NAMES),
    **{dtype: lambda dtype=dtype: typed(dtype) for dtype in ("int8", "uint8", "bool", "int32")},
    "nested outputs": nested_outputs,
    "states": states,
    "ragged": ragged,
    "scalars and texts": scalars_and_texts,
    "a large float array": lambda: image("float32"),
    "a large uint8 array": lambda: image("uint8"),
}


@pytest.fixture(scope="module")
def signatures():
    return {key: make() for key, make in SIGNATURES.items()}


@pytest.fixture(scope="module")
def graphs(signatures):
    return {key: concrete_function(signature) for key, signature in signatures.items()}


@pytest.fixture(scope="module")
def client(graphs, tmp_path_factory):
    """`dlrecipes serve` in this process, with all signatures in one model."""
    root = tmp_path_factory.mktemp("models")
    module = tf.Module()
    module.all_variables = [variable for graph in graphs.values() for variable in graph.variables]
    write_saved_model(module, root / MODEL / "1", graphs)
    store = ModelStore(root)
    store.refresh()
    with TestClient(application(Settings(root, log=False), store)) as client:
        yield client


def card_request(text):
    """Returns address and body that the card's shell command passes to `curl`."""
    blocks = re.findall(r"^```(\w*)\n(.*?)\n```$", text, re.DOTALL | re.M)
    (command,) = (lines for language, lines in blocks if not language)
    script = 'curl() { printf "%s\\n" "$3"; if [ "$2" = @- ]; then cat; else printf %s "$2"; fi; }'
    output = subprocess.run(
        ["bash", "-ec", f"{script}\n{command}"], check=True, capture_output=True
    ).stdout
    address, _, body = output.partition(b"\n")
    return address.decode(), body


@pytest.mark.parametrize("key", SIGNATURES)
def test_the_request_of_a_card_is_answered_with_its_outputs(key, client, signatures, graphs):
    signature, graph = signatures[key], graphs[key]
    exports = Exports({key: signature}, signature)
    text = usage(MODEL, exports, functions={key: graph, "model.tflite": graph})
    address, body = card_request(text)
    response = client.post(address.removeprefix("localhost:8501"), content=body)
    assert response.status_code == 200, response.text
    outputs = response.json()["outputs"]
    names = set(graph.structured_outputs)
    named = outputs if len(names) > 1 else {min(names): outputs}
    assert set(named) == names
    assert names == set(re.findall(r"^\| output \| `(.+?)` \|", text, re.M))
    # The values are those of the graph on the same inputs.
    sent = json.loads(body)["inputs"]
    columns = sent if isinstance(sent, dict) else {signature.inputs[0].name: sent}
    values = graph(*(tf.constant(columns[spec.name], spec.dtype) for spec in signature.inputs))
    for name, value in values.items():
        own = value.numpy()
        if value.dtype == tf.string:
            assert named[name] == [text.decode() for text in own]
        else:
            np.testing.assert_allclose(named[name], own, rtol=1e-5)


def test_a_card_names_the_inputs_of_keras_that_have_another_name(signatures):
    signature = signatures["all names"]
    text = usage("net", Exports({"all names": signature}, signature))
    # Once for the SavedModel and once for LiteRT; `user_id` is valid, and keeps its form.
    assert text.count("`User_ID_1` is the model's input `User-ID`") == 2
    assert "`arg_1st` is the model's input `1st`" in text
    assert "`input` is the model's input `用户`" in text
    assert "the model's input `user_id`" not in text
    shown = re.findall(r"^\| input \| `(.+?)` \|", text, re.M)
    assert shown == 2 * [spec.name for spec in signature.inputs]


def test_all_formats_have_the_same_names(client, signatures, tmp_path):
    signature = signatures["all names"]
    names = {spec.name for spec in signature.inputs}
    (tmp_path / "model.tflite").write_bytes(convert(signature))
    assert set(LiteRTModel(tmp_path / "model.tflite")._runner.get_input_details()) == names
    metadata = client.get(f"/v1/models/{MODEL}/metadata").json()["metadata"]
    served = metadata["signature_def"]["signature_def"]["all names"]
    assert set(served["inputs"]) == names
    assert len(names) == len(NAMES)
