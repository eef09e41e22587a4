"""Further functions of a model are published as LiteRT files of their own, and verified."""

import shutil

import keras
import numpy as np
import pytest
import tensorflow as tf

from dlrecipes.errors import PublishError
from dlrecipes.export import Exports, Signature, change, checksums, publish
from dlrecipes.export.litert import LiteRTModel
from dlrecipes.export.verification import check


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(0)
    return keras.Sequential(
        [keras.Input((3,), name="x"), keras.layers.Dense(2), keras.layers.Dense(3)]
    )


def exports_of(model):
    halves = model.layers
    x = np.arange(6, dtype="float32").reshape(2, 3)
    spec, inner = (
        tf.TensorSpec([None, size], tf.float32, name=name) for size, name in ((3, "x"), (2, "code"))
    )
    whole = Signature(lambda x: {"y": model(x)}, [spec], [(x,)])
    parts = {
        "encoder": Signature(lambda x: {"code": halves[0](x)}, [spec], [(x,)]),
        "decoder": Signature(lambda code: {"y": halves[1](code)}, [inner], [(x[:, :2],)]),
    }
    return Exports({"serving_default": whole}, whole, litert_parts=parts)


@pytest.fixture(scope="module")
def published(model, tmp_path_factory):
    return publish(model, tmp_path_factory.mktemp("parts") / "net", exports_of(model))


@pytest.fixture
def copied(published, tmp_path):
    return shutil.copytree(published, tmp_path / "net" / "1")


def test_each_part_is_a_file_that_is_verified(published, model):
    x = np.ones((4, 3), "float32")
    code = LiteRTModel(published / "encoder.tflite")(x=x)["code"]
    np.testing.assert_allclose(code, model.layers[0](x), atol=1e-6)
    y = LiteRTModel(published / "decoder.tflite")(code=code)["y"]
    np.testing.assert_allclose(y, model(x), atol=1e-6)
    lines = list(check(published))
    assert {"encoder.tflite: matches the model on 1 example"} < set(lines)
    assert {"decoder.tflite: matches the model on 1 example"} < set(lines)
    card = (published / "README.md").read_text()
    assert card.count("is called in the same way:") == 2


def test_a_part_with_other_outputs_is_not_in_order(copied):
    shutil.copy(copied / "model.tflite", copied / "encoder.tflite")
    checksums.write(copied)
    with pytest.raises(PublishError, match=r"encoder\.tflite"):
        list(check(copied))


def test_a_part_that_is_missing_or_has_no_outputs_is_named(copied):
    shutil.copy(copied / "encoder.tflite", copied / "other.tflite")
    checksums.write(copied)
    with pytest.raises(PublishError, match=r"other\.tflite: .* has no outputs of this file"):
        list(check(copied))
    for name in ("other", "encoder"):
        (copied / f"{name}.tflite").unlink()
    checksums.write(copied)
    with pytest.raises(PublishError, match=r"encoder\.tflite is missing"):
        list(check(copied))


def test_parts_are_left_out_with_the_other_litert_files(copied):
    plan = change.plan(copied, litert=False)
    new = change.apply(copied, plan, lambda: pytest.fail("not needed"))
    assert not list(new.glob("*.tflite"))
    list(check(new))
    assert "encoder.tflite" not in (new / "README.md").read_text()


@pytest.mark.parametrize("name", ["model", "model.int8", "../x", "Encoder", ""])
def test_names_that_cannot_be_files_of_their_own_are_refused(model, name):
    exports = exports_of(model)
    with pytest.raises(ValueError, match="expected one like encoder"):
        Exports(exports.signatures, exports.litert, litert_parts={name: exports.litert})
