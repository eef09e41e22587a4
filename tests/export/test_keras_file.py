"""The `.keras` file: Python code and unregistered classes are refused with the way to go on."""

import functools

import keras
import numpy as np
import pytest
from keras import layers

from dlrecipes.errors import PublishError
from dlrecipes.export import keras_file, publish
from dlrecipes.export.verification import check
from dlrecipes.export.version import ModelVersion

X = np.ones((2, 3), "float32")


class Plain(layers.Layer):
    def call(self, x):
        return 2 * x


class Holder(layers.Layer):
    def __init__(self, thing, **kwargs):
        super().__init__(**kwargs)
        self.thing = thing

    def call(self, x):
        return x


@keras.saving.register_keras_serializable("tests")
class Forgetful(layers.Layer):
    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.units = units

    def call(self, x):
        return x

    def get_config(self):
        return layers.Layer.get_config(self)


def triple(x):
    return 3 * x


def sequential(*parts):
    return keras.Sequential([keras.Input((3,), name="x"), *parts], name="net")


def nested():
    return sequential(keras.Sequential([layers.Dense(2), Plain(name="mine")], name="block"))


REFUSED = {
    "lambda": (
        lambda: sequential(layers.Lambda(lambda x: 2 * x, name="double")),
        "the layer double (Lambda) holds Python code (a lambda)",
        "publish(..., safe=False) or keras.config.enable_unsafe_deserialization()",
    ),
    "initializer": (
        lambda: sequential(
            layers.Dense(2, kernel_initializer=lambda shape, dtype=None: 1.0 * np.ones(shape))
        ),
        "(Dense) holds Python code (a lambda)",
        "safe=False",
    ),
    "function": (
        lambda: sequential(layers.Lambda(triple, name="triple")),
        f"the layer triple uses the function triple (in the module {__name__}), which is not "
        "registered",
        "@keras.saving.register_keras_serializable() above def triple",
    ),
    "activation": (
        lambda: sequential(layers.Dense(2, activation=triple, name="out")),
        f"the layer out uses the function triple (in the module {__name__})",
        "@keras.saving.register_keras_serializable() above def triple",
    ),
    "lambda activation": (
        lambda: sequential(layers.Dense(2, activation=lambda x: 2 * x, name="out")),
        "the activation of the layer out is a lambda",
        "Give the layer a function",
    ),
    "class": (
        nested,
        f"the layer mine uses the class Plain (in the module {__name__}), which is not registered",
        "@keras.saving.register_keras_serializable() above class Plain",
    ),
    "objects": (
        lambda: sequential(Holder(object(), name="holder")),
        f"the layer holder (Holder, in the module {__name__}) cannot be saved",
        "Give Holder a get_config",
    ),
    "names": (
        lambda: sequential(layers.Lambda(lambda x: np.abs(x), name="abs", output_shape=(3,))),
        "the layer abs (Lambda) uses np of your module",
        "Give the layer a function instead",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_could_not_be_loaded_is_refused_before_it_is_written(tmp_path, name):
    make, message, hint = REFUSED[name]
    with pytest.raises(PublishError) as caught:
        keras_file.save(make(), tmp_path)
    assert message in caught.value.message
    assert hint in caught.value.hint
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_class_of_a_notebook_is_named_so(tmp_path, monkeypatch):
    monkeypatch.setattr(Plain, "__module__", "__main__")
    with pytest.raises(PublishError, match=r"class Plain \(in your script or notebook, __main__\)"):
        keras_file.save(sequential(Plain()), tmp_path)


def test_an_incomplete_configuration_is_named_when_the_file_is_loaded(tmp_path):
    keras_file.save(sequential(Forgetful(3)), tmp_path)
    with pytest.raises(PublishError) as caught:
        keras_file.load(tmp_path)
    assert caught.value.message.startswith(
        "model.keras cannot be loaded again: the class Forgetful cannot be created from its own "
        "configuration: Forgetful.__init__() missing 1 required positional argument: 'units'."
    )
    assert str(tmp_path) not in str(caught.value)


@pytest.mark.parametrize(
    ("error", "name"),
    [
        (
            "<class 'keras.src.layers.RandomShear'> could not be deserialized properly. Exception "
            "encountered: The `factor` argument is -0.1",
            "RandomShear",
        ),
        ("Tensor <KerasTensor> from operation 'equalization' is part of a cycle.", "equalization"),
    ],
)
def test_a_layer_that_keras_cannot_load_is_named(tmp_path, monkeypatch, error, name):
    def load_model(*arguments, **options):
        raise ValueError(error)

    monkeypatch.setattr(keras.saving, "load_model", load_model)
    with pytest.raises(PublishError, match=r"error of Keras\)\. Publish a model without") as caught:
        keras_file.load(tmp_path)
    assert name in caught.value.message


def test_registering_a_class_is_enough(tmp_path):
    class Late(layers.Layer):
        def call(self, x):
            return x

    model = sequential(Late())
    with pytest.raises(PublishError, match="not registered"):
        keras_file.save(model, tmp_path)
    keras.saving.register_keras_serializable("tests")(Late)
    keras_file.save(model, tmp_path)
    assert isinstance(keras_file.load(tmp_path).layers[0], Late)


def test_a_lambda_is_published_if_it_is_allowed(tmp_path):
    model = sequential(layers.Lambda(lambda x: 2 * x, name="y"))
    folder = publish(model, tmp_path / "net", examples=X, safe=False)
    assert (folder / "model.keras").is_file()
    # Others load it only if they trust it, so that verifying it does not run its code.
    lines = list(check(folder))
    assert "model.keras: not loaded, because it has Python code (a Lambda layer)" in lines
    with pytest.raises(PublishError, match=r"keras\.config\.enable_unsafe_deserialization\(\)"):
        ModelVersion(folder).keras_model()


def test_a_setting_of_keras_allows_lambdas_as_well(tmp_path):
    model = sequential(layers.Lambda(lambda x: 2 * x, name="y"))
    keras.config.enable_unsafe_deserialization()
    try:
        keras_file.save(model, tmp_path)
        np.testing.assert_allclose(keras_file.load(tmp_path)(X), 2 * X)
    finally:
        from keras.src.backend.common import global_state

        global_state.set_global_attribute("safe_mode_saving", None)


@pytest.mark.parametrize(
    ("loss", "note"),
    [
        ("mse", ""),
        (triple, "cannot restore the loss, metric or optimizer triple: load it with compile=False"),
        (lambda y, z: y, "cannot restore the loss, metric or optimizer that is a lambda"),
        (functools.partial(triple), "is saved without loss, metrics and optimizer"),
    ],
)
def test_a_loss_that_cannot_be_restored_is_a_note(tmp_path, loss, note):
    model = sequential(layers.Dense(1))
    model.compile("sgd", loss)
    assert (note in keras_file.save(model, tmp_path)) if note else True
    assert bool(keras_file.save(model, tmp_path)) == bool(note)
    assert model.compiled
    np.testing.assert_allclose(keras_file.load(tmp_path)(X), model(X))


def test_all_losses_and_metrics_that_cannot_be_restored_are_named(tmp_path):
    def measure(y, z):
        return keras.ops.mean(y - z)

    model = keras.Sequential([keras.Input((2,)), layers.Dense(1)])
    model.compile(loss=triple, metrics=[measure])
    assert "triple, measure: load it" in keras_file.save(model, tmp_path)
