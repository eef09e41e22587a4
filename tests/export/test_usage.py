"""The usage section of a model card: generated from the graphs, and works as written."""

import base64
import json
import re
import shlex
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from dlrecipes.export.litert import concrete_function
from dlrecipes.export.litert_files import write_litert
from dlrecipes.export.publish import write_card, write_saved_model
from dlrecipes.export.signatures import Exports, Quantized, Signature
from dlrecipes.export.usage import usage
from dlrecipes.serving import json_body

ROW = re.compile(r"^\| (input|output) \| `(.+?)` \| (\w+) \| `(.+?)` \|$", re.MULTILINE)

LITERT = Signature(
    lambda x, count: {"y": 2 * x, "count": count},
    [tf.TensorSpec([None, 3], tf.float32, name="x"), tf.TensorSpec([1], tf.int32, name="count")],
    [(np.ones((2, 3), "float32"), np.int32([7]))],
)
DEFAULTS = {
    "numbers": Signature(
        lambda values, step: {"total": tf.reduce_sum(values, 1), "next": step + 1},
        [
            tf.TensorSpec([None, 3], tf.float32, name="values"),
            tf.TensorSpec([None], tf.int64, name="step"),
        ],
        [(np.full((2, 3), 0.1234567, "float32"), np.int64([7, 8]))],
    ),
    "text": Signature(
        lambda text: {"length": tf.strings.length(text), "text": text},
        [tf.TensorSpec([None], tf.string, name="text")],
        [(np.array(["", "long" * 99, "l'été\n"], object),)],
    ),
    "file": Signature(
        lambda image_bytes: {"size": tf.strings.length(image_bytes)},
        [tf.TensorSpec([None], tf.string, name="image_bytes")],
        [(np.array([b"\xff"], object),)],
    ),
    "undecodable text": Signature(
        lambda clip: {"size": tf.strings.length(clip)},
        [tf.TensorSpec([None], tf.string, name="clip")],
        [(np.array([b"\xff"], object),)],
    ),
    "file and number": Signature(
        lambda image_bytes, label: {"sum": tf.strings.length(image_bytes) + label},
        [
            tf.TensorSpec([None], tf.string, name="image_bytes"),
            tf.TensorSpec([None], tf.int32, name="label"),
        ],
        [(np.array([b"\xff"], object), np.int32([3]))],
    ),
    "large": Signature(
        lambda images: {"mean": tf.reduce_mean(tf.cast(images, tf.float32), [1, 2])},
        [tf.TensorSpec([None, None, None], tf.uint8, name="images")],
        [(np.ones((2, 9, 8), "uint8"),)],
    ),
    "large and file": Signature(
        lambda images, mask_bytes: {"sum": tf.reduce_sum(images) + 0.0},
        [
            tf.TensorSpec([1, 6, 6], tf.float32, name="images"),
            tf.TensorSpec([1], tf.string, name="mask_bytes"),
        ],
        [],
    ),
    "scalar without examples": Signature(
        lambda flag: {"not": tf.logical_not(flag)}, [tf.TensorSpec([], tf.bool, name="flag")], []
    ),
    "names that are not identifiers": Signature(
        lambda x: {"my output": x + 1}, [tf.TensorSpec([1], tf.int32, name="my-input")], []
    ),
}
FILES = {"image.png": b"\x89PNG", "clip.bin": b"\xfe", "mask.bin": b"\x01"}


def exports_of(signature, **others):
    return Exports({"serving_default": signature, **others}, LITERT)


@pytest.fixture(params=DEFAULTS)
def default(request):
    return DEFAULTS[request.param]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    for name, content in FILES.items():
        (tmp_path / name).write_bytes(content)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def section(text, heading):
    return re.search(rf"^### {re.escape(heading)}\n(.*?)(?=^### |\Z)", text, re.DOTALL | re.M)[1]


def code(text, language=""):
    blocks = re.findall(r"^```(\w*)\n(.*?)\n```$", text, re.DOTALL | re.M)
    return [lines for label, lines in blocks if label == language]


def sent(command):
    """Returns the body that a shell command sends, as a server would receive it."""
    command = re.sub(r"^python3", shlex.quote(sys.executable), command)
    # `curl` prints the body.
    script = 'curl() { if [ "$2" = @- ]; then cat; else printf %s "$2"; fi; }\n' + command
    return subprocess.run(["bash", "-ec", script], check=True, capture_output=True).stdout


def test_tables_hold_the_names_types_and_shapes_of_the_graphs(default):
    text = usage("net", exports_of(default, other=LITERT))
    graphs = {
        "Signature `serving_default`": default,
        "Signature `other`": LITERT,
        "LiteRT": LITERT,
    }
    for heading, signature in graphs.items():
        graph = concrete_function(signature)
        tensors = [("input", spec.name, spec) for spec in signature.inputs]
        tensors += [("output", name, spec) for name, spec in graph.structured_outputs.items()]
        expected = {
            (side, name, spec.dtype.name, str(tuple(spec.shape.as_list())))
            for side, name, spec in tensors
        }
        assert set(ROW.findall(section(text, heading))) == expected


def test_the_request_is_one_that_the_signature_accepts(default, folder):
    text = usage("net", exports_of(default))
    (command,) = code(section(text, "Signature `serving_default`"))
    assert command.endswith(" localhost:8501/v1/models/net:predict")
    specs = {spec.name: spec for spec in default.inputs}
    arrays, _ = json_body.inputs(json_body.parse(sent(command)), specs)
    for name, spec in specs.items():
        assert spec.shape.is_compatible_with(arrays[name].shape)
    concrete_function(default)(*(tf.constant(arrays[s.name], s.dtype) for s in default.inputs))


def test_python_lines_run_in_the_folder_of_the_version(default, folder, capsys):
    exports = exports_of(default)
    write_saved_model(tf.Module(), folder, {"serving_default": concrete_function(default)})
    (lines,) = code(section(usage("net", exports), "Signature `serving_default`"), "python")
    names = {}
    exec(lines, names)
    assert set(names["outputs"]) == set(concrete_function(default).structured_outputs)
    assert capsys.readouterr().out


def test_texts_and_integers_are_the_examples_and_floats_are_zeros():
    def body(kind):
        (command,) = code(usage("net", exports_of(DEFAULTS[kind])))
        return json.loads(shlex.split(command)[2])

    # The first row has no text, and the second is too long.
    assert body("text") == {"inputs": ["l'été\n"]}
    assert body("numbers") == {"inputs": {"values": [[0.0, 0.0, 0.0]], "step": [7]}}
    assert body("scalar without examples") == {"inputs": False}


def test_bytes_are_sent_in_base64_from_a_file(folder):
    (command,) = code(usage("net", exports_of(DEFAULTS["file"])))
    assert "$(base64 -w0 image.png)" in command
    ((row,),) = json.loads(sent(command)).values()
    assert base64.b64decode(row["b64"]) == FILES["image.png"]


def test_long_texts_are_cut():
    long = Signature(
        DEFAULTS["text"].function, DEFAULTS["text"].inputs, [(np.array(["ab" * 99], object),)]
    )
    (command,) = code(usage("net", exports_of(long)))
    assert json.loads(shlex.split(command)[2]) == {"inputs": ["ab" * 40]}


def test_a_model_without_a_default_signature_is_requested_by_name():
    text = usage("net", Exports({"next": DEFAULTS["numbers"]}, LITERT))
    (command,) = code(section(text, "Signature `next`"))
    assert json.loads(shlex.split(command)[2])["signature_name"] == "next"


def test_litert_lines_run_in_the_folder_of_the_version(folder):
    write_litert(folder, exports_of(DEFAULTS["text"]))
    (lines,) = code(section(usage("net", exports_of(DEFAULTS["text"])), "LiteRT"), "python")
    names = {}
    exec(lines, names)
    assert {name: array.tolist() for name, array in names["outputs"].items()} == {
        "y": [[0.0] * 3] * 2,
        "count": [7],
    }


def test_int8_lines_convert_float_tensors(folder):
    dense = keras.Sequential([keras.Input((3,), name="x"), keras.layers.Dense(2, name="y")])
    x = np.random.default_rng(0).uniform(-1, 1, (20, 3)).astype("float32")
    signature = Signature(
        lambda x: {"y": dense(x)},
        [tf.TensorSpec([None, 3], tf.float32, name="x")],
        [(x[k : k + 1],) for k in range(20)],
    )
    smaller = Quantized(("float16", "int8"), signature.examples, "score", lambda _: 1.0, 1.0)
    exports = Exports({"serving_default": signature}, signature, quantized=smaller)
    write_litert(folder, exports)
    text = section(usage("net", exports), "LiteRT")
    assert "`model.float16.tflite` is called in the same way." in text
    call, conversion = code(text, "python")
    before, _, after = conversion.partition("\nscale, zero_point = runner.get_output_details()")
    names = {"values": x[:1]}
    exec(call.split("outputs =")[0].replace("model.tflite", "model.int8.tflite"), names)
    exec(before, names)
    names["outputs"] = names["runner"](x=names["quantized"])
    exec(f"scale, zero_point = runner.get_output_details(){after}", names)
    np.testing.assert_allclose(names["values"], dense(x[:1]), atol=0.1)


def test_formats_that_are_not_published_are_not_mentioned():
    assert ".tflite" not in usage("net", exports_of(LITERT)).replace("model.tflite", "")
    assert "onnx" not in usage("net", exports_of(LITERT))


def test_onnx_lines_name_the_inputs():
    (lines,) = code(usage("net", exports_of(LITERT), onnx=True), "python")[-1:]
    assert '{"x": np.zeros((2, 3), np.float32), "count": np.array([7], np.int32)}' in lines


def test_notes_are_printed_under_the_generated_text():
    text = usage("net", exports_of(LITERT), "Values are from 0 to 1.\n")
    assert text.endswith("\n\n### Notes\n\nValues are from 0 to 1.")
    assert "### Notes" not in usage("net", exports_of(LITERT))


def test_a_card_is_given_the_usage_section_or_kept_as_it_is():
    exports = Exports({"serving_default": LITERT}, LITERT, notes="Values are from 0 to 1.")
    functions = {name: concrete_function(LITERT) for name in ("serving_default", "model.tflite")}
    expected = usage("net", exports, exports.notes)
    assert write_card(lambda text: f"# net\n{text}", None, "net", exports, functions) == (
        f"# net\n{expected}"
    )
    assert write_card("# card\n", None, "net", exports, functions) == "# card\n"
