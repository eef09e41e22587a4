"""In the int8 file of a detector, layers are int8, and scores, boxes and suppression are not."""

import numpy as np
import pytest
import tensorflow as tf
from small_detector import DETECTIONS, SIZE, exports, small_detector, smooth_images
from tensorflow.lite.python import schema_py_generated as schema

from dlrecipes.data.image_resizing import fit_array
from dlrecipes.export.litert import LiteRTModel, convert

pytestmark = pytest.mark.slow
INT8, FLOAT32 = schema.TensorType.INT8, schema.TensorType.FLOAT32


@pytest.fixture(scope="module")
def files():
    images = smooth_images(8)
    litert = exports(small_detector(), images).litert
    calibration = [(fit_array(image, SIZE)[None],) for image in images]
    return {kind: convert(litert, kind, calibration) for kind in ("float32", "dynamic", "int8")}


def operators(content):
    """Yields each operator's name, and the types of its floats and constants by operand."""
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    names = {number: name for name, number in vars(schema.BuiltinOperator).items()}
    (graph,) = model.subgraphs
    for op in graph.operators:
        types = [graph.tensors[k].type for k in (*op.inputs, *op.outputs) if k >= 0]
        yield names[model.operatorCodes[op.opcodeIndex].builtinCode], types


@pytest.mark.parametrize("kind", ["dynamic", "int8"])
def test_the_file_takes_and_returns_floats(files, tmp_path, kind):
    path = tmp_path / "model.tflite"
    path.write_bytes(files[kind])
    lite = LiteRTModel(path)
    (image,) = smooth_images(1, seed=5)
    outputs = lite(images=fit_array(image, SIZE)[None])
    assert {value.dtype.name for value in outputs.values()} == {"float32"}
    assert outputs["count"].tolist() == [DETECTIONS]
    found = outputs["classes"][0] >= 0
    assert found.any()
    # int8 would have at most 256 values, and equal ones among those of two boxes.
    boxes = outputs["locations"][0][found]
    assert len(np.unique(boxes)) > 2 * len(boxes)


def test_layers_are_int8_up_to_those_of_scores_and_boxes(files):
    products = {"CONV_2D": [], "FULLY_CONNECTED": []}
    for name, types in operators(files["int8"]):
        if name in products:
            products[name].append(INT8 in types)
    # Three of the backbone and one of the proposals; objectness and deltas.
    assert sorted(products["CONV_2D"]) == [False] * 2 + [True] * 4
    # fc6 and fc7; logits and deltas.
    assert sorted(products["FULLY_CONNECTED"]) == [False] * 2 + [True] * 2


def test_boxes_are_decoded_and_suppressed_in_float32(files):
    names = {"NON_MAX_SUPPRESSION_V4", "TOPK_V2", "EXP", "SOFTMAX", "BATCH_MATMUL", "GATHER"}
    seen = set()
    for name, types in operators(files["int8"]):
        if name in names:
            seen.add(name)
            assert INT8 not in types, name
    assert seen == names


def test_weights_take_a_byte(files):
    kernels = sum(
        int(np.prod(weight.shape))
        for weight in small_detector().weights
        if weight.path.split("/")[-1] == "kernel" and int(np.prod(weight.shape)) > 1000
    )
    saved = len(files["float32"]) - len(files["int8"])
    assert saved > 0.8 * 3 * (kernels - 2000)


def test_detections_stay_close_to_those_of_float32(files, tmp_path):
    images = smooth_images(10, seed=7)
    results = {}
    for kind, content in files.items():
        path = tmp_path / f"{kind}.tflite"
        path.write_bytes(content)
        lite = LiteRTModel(path)
        results[kind] = [lite(images=fit_array(image, SIZE)[None]) for image in images]
    best = [
        abs(one["scores"][0, 0] - other["scores"][0, 0])
        for one, other in zip(results["float32"], results["int8"], strict=True)
    ]
    assert np.median(best) < 0.05
    assert tf.reduce_all(np.isfinite(best))
