"""Keras loads published models after `import dlrecipes`, and says so without it."""

import subprocess
import sys
import zipfile

import keras
import numpy as np
import pytest
from keras.src.saving import object_registration

from dlrecipes._utils import keras_registry
from dlrecipes.export import keras_import, publish
from dlrecipes.layers import L2Normalization


@pytest.fixture(scope="module")
def normalized(tmp_path_factory):
    """A published model with a layer of this package."""
    model = keras.Sequential([keras.Input((3,), name="x"), L2Normalization(name="y")], name="net")
    folder = tmp_path_factory.mktemp("published") / "net"
    return publish(model, folder, examples=np.ones((2, 3), "float32"), litert=False)


def test_the_import_loads_nothing_and_is_enough(normalized):
    code = f"""
import sys
import dlrecipes
assert not {{"keras", "tensorflow", "dlrecipes.layers"}} & set(sys.modules)
import keras
assert "dlrecipes.layers" not in sys.modules
model = keras.saving.load_model({str(normalized / "model.keras")!r})
print(type(model.layers[-1]).__name__)
"""
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert answer.stdout.strip() == "L2Normalization", answer.stderr[-2000:]


def test_a_registry_that_exists_already_is_replaced_once(monkeypatch):
    plain = {"mine>Layer": dict}
    monkeypatch.setattr(object_registration, keras_registry.ATTRIBUTE, plain)
    for _ in range(2):
        keras_registry.install()
    registry = getattr(object_registration, keras_registry.ATTRIBUTE)
    assert type(registry) is keras_registry.LazyRegistry
    assert registry == plain
    assert "dlrecipes>Nothing" not in registry


def test_the_error_without_the_import_names_it(normalized, monkeypatch):
    monkeypatch.setattr(object_registration, keras_registry.ATTRIBUTE, {})
    with pytest.raises(TypeError) as error:
        keras.saving.load_model(normalized / "model.keras")
    assert "'load_after': 'import dlrecipes'" in str(error.value)


def test_the_card_shows_how_keras_loads_the_file(normalized):
    card = (normalized / "README.md").read_text()
    assert "import keras\n\nimport dlrecipes\n\nmodel = keras.saving.load_model(" in card


def test_a_model_of_keras_alone_is_left_as_it_is(tmp_path):
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    path = tmp_path / "model.keras"
    model.save(path)
    before = path.read_bytes()
    keras_import.name_import(path)
    assert path.read_bytes() == before
    assert keras_import.usage(model) == ""


def test_the_weights_remain(normalized):
    with zipfile.ZipFile(normalized / "model.keras") as file:
        assert file.testzip() is None
        assert set(file.namelist()) >= {"config.json", "metadata.json", "model.weights.h5"}
