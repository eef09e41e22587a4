"""What LiteRT cannot run is refused with the op, the layer and the reason."""

import pytest
import tensorflow as tf

from dlrecipes.export import litert_support
from dlrecipes.export.litert import concrete_function, convert
from dlrecipes.export.litert_support import (
    LiteRTError,
    check_supported,
    conversion_error,
    layer_path,
)
from dlrecipes.export.signatures import Signature


def signature(function, dtype=tf.float32, shape=(None,)):
    return Signature(function, [tf.TensorSpec(shape, dtype, name="x")], [])


def refuse(one):
    with pytest.raises(LiteRTError) as caught:
        check_supported(one, concrete_function(one))
    return caught.value.message


def test_strings_are_refused_by_name():
    words = signature(lambda x: {"y": tf.strings.length(x)}, tf.string)
    assert "its input x is a string" in refuse(words)
    numbers = signature(lambda x: {"y": tf.strings.as_string(x)})
    assert "its output y is a string" in refuse(numbers)


def test_a_lookup_table_is_refused():
    entries = tf.lookup.KeyValueTensorInitializer(tf.constant([1], tf.int64), tf.constant([2.0]))
    table = tf.lookup.StaticHashTable(entries, 0.0)
    message = refuse(signature(lambda x: {"y": table.lookup(x)}, tf.int64))
    assert "it looks values up in a table" in message


def test_a_model_that_is_too_large_is_refused_before_it_is_converted(monkeypatch):
    weights = tf.Variable(tf.zeros([300]))
    one = signature(lambda x: {"y": x[:, None] * weights})
    check_supported(one, concrete_function(one))
    # 300 numbers of 4 bytes.
    monkeypatch.setattr(litert_support, "MAX_BYTES", 1199)
    monkeypatch.setattr("dlrecipes.export.litert.convert_variables_to_constants_v2", None)
    with pytest.raises(LiteRTError, match=r"its weights take .* GiB, and a LiteRT file holds less"):
        convert(one)
    monkeypatch.setattr(litert_support, "MAX_BYTES", 1200)
    check_supported(one, concrete_function(one))


def test_a_failure_of_the_converter_is_not_quoted():
    dump = (
        '<unknown>:0: error: loc(callsite(fused["TensorListReserve:", '
        '"net_1/lstm_1/TensorArrayV2_1@__inference_pruned_1"] at callsite(fused["While:", "x"])))'
    )
    message = conversion_error(dump, tf.Graph().as_graph_def(), {"net", "lstm"}).message
    assert message == (
        "LiteRT cannot run this model: its converter fails at the op TensorListReserve "
        "(layer net/lstm)."
    )
    message = conversion_error("/tmp/x.cc:1: Check failed", tf.Graph().as_graph_def()).message
    assert message == "LiteRT cannot run this model: its converter fails on this graph."


@pytest.mark.parametrize(
    ("scope", "path"),
    [
        # The graph numbers all names, those that end in a number as well.
        ("net_1/pool_1/MaxPool3D", "net/pool"),
        ("net_1/pool_1_2/MaxPool3D", "net/pool_1"),
        ("net_1/inner_1/dense_1/Tensordot/MatMul", "net/inner/dense"),
        ("net/pool_1/MaxPool3D", "net/pool_1"),
        ("MaxPool3D", ""),
    ],
)
def test_layers_have_their_own_names(scope, path):
    assert layer_path(scope, {"net", "pool", "pool_1", "inner", "dense"}) == path
