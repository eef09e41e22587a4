"""Networks of image classification: settings, sizes, and weights that are downloaded or read."""

import socket
import urllib.error

import keras
import numpy as np
import pytest
from image_classification_case import APPLICATION, CLASSES, NAME, all_parts, module, recipe

from dlrecipes.errors import UsageError
from dlrecipes.recipe import registry

# Settings.


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"network": "smal_resnet"}, "no such network. Did you mean 'small_resnet'"),
        ({"network": "ResNet50"}, "no such network. Did you mean 'resnet50'"),
        ({"network": "Xception"}, "no such network. Did you mean 'applications:Xception'"),
        ({"freeze": 1}, "the frozen layers would keep random weights"),
        ({"freeze": 2, "start": "1", "epochs": 2}, "Give --epochs 3 or more"),
        ({"start": "1", "weights": "x", "network": "applications:VGG16"}, "Give one of them"),
        ({"images": 1_000_000, "size": 1024}, "would need 3145.7 GB of memory. Give --images 1271"),
        ({"weights": "imagenet"}, "--weights: it is for --network applications:NAME"),
        ({"network": "applications:VGG16", "width": 2}, "--width: networks of keras.applications"),
        ({"network": "vgg11", "depth": 2}, "--depth: it is for --network small_resnet"),
        ({"fine_tuning_rate": 0.1}, "--fine-tuning-rate: --freeze is 0"),
        ({"temperature": 2}, "--temperature: there is no --teacher"),
        ({"lr_schedule": "constant", "warmup": 0.2}, "--warmup: --lr-schedule is constant"),
        ({"data": "photos", "images": 200}, "--images: it is for the built-in data"),
    ],
)
def test_settings_that_contradict_each_other_are_refused_in_one_line(settings, message):
    config = registry.find(NAME).config()
    with pytest.raises(UsageError) as caught:
        config.parse(settings).check_effect(settings, NAME)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


SIZES = {"alexnet": 67, "googlenet": 32, "vgg16": 32, "resnet18": 16}
QUICK = ("small_resnet", "small_cnn")


@pytest.mark.parametrize(
    "network",
    [
        name if name in QUICK else pytest.param(name, marks=pytest.mark.slow)
        for name in registry.find(NAME)._module("config").NETWORKS
    ],
)
def test_each_network_trains_one_step(network):
    size = SIZES.get(network, 32)
    task = recipe(network=network, size=size, width=0.1, dropout=0.1)
    data = all_parts(["a", "b", "c"], size=size)
    model = task.build(data)
    assert model.network.input_shape == (None, size, size, 3)
    before = [np.array(weight) for weight in model.trainable_weights]
    batches, steps = task.dataset(model, data.train, 0)
    # The first step of the warm-up has the rate 0.
    loss = model.fit(batches, steps_per_epoch=2 * steps, verbose=0).history["loss"][0]
    assert np.isfinite(loss)
    pairs = zip(before, model.trainable_weights, strict=True)
    # In a network this narrow some ReLUs are never active.
    assert np.mean([np.any(old != np.asarray(new)) for old, new in pairs]) > 0.5
    heads = [x for x in model._flatten_layers() if x.name == module("networks").HEAD]
    assert len(heads) == 1


@pytest.mark.parametrize(
    ("settings", "least"),
    [
        ({"network": "alexnet", "size": 64}, 67),
        ({"network": "applications:MobileNetV3Small", "size": 16, "width": 1.0}, 32),
        ({"network": "applications:InceptionV3", "size": 64, "width": 1.0}, 75),
    ],
)
def test_a_size_below_a_networks_least_is_one_line_with_the_least(settings, least):
    with pytest.raises(UsageError) as caught:
        recipe(**settings).build(all_parts(CLASSES, size=8))
    assert f"--network {settings['network']} --size {settings['size']}: " in str(caught.value)
    assert str(least) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("MobilNetV3Small", "Did you mean 'MobileNetV3Small'"),
        ("Nonsense", "ResNet50"),
        ("", "ResNet50"),
    ],
)
def test_an_unknown_application_names_the_nearest(name, hint):
    with pytest.raises(UsageError, match=r"keras\.applications has no") as caught:
        recipe(network=f"applications:{name}").build(all_parts(CLASSES))
    assert hint in str(caught.value)


def test_an_unknown_application_is_refused_before_data_are_read(tmp_path):
    task = recipe(network="applications:MobilNetV2", width=1.0, data=str(tmp_path / "nowhere"))
    with pytest.raises(UsageError, match="Did you mean 'MobileNetV2'"):
        task.load_data()


def test_an_application_trains_with_weights_of_a_file(tmp_path):
    data = all_parts(CLASSES, size=32)
    source = recipe(**APPLICATION).build(data)
    features = next(x for x in source._flatten_layers() if x.name.startswith("MobileNet"))
    kernel = next(w for w in features.weights if "conv/kernel" in w.path)
    kernel.assign(kernel + 1)
    path = tmp_path / "notop.weights.h5"
    features.save_weights(path)
    task = recipe(**APPLICATION, weights=str(path), freeze=1)
    model = task.build(data)
    own = next(x for x in model._flatten_layers() if x.name.startswith("MobileNet"))
    for one, same in zip(features.weights, own.weights, strict=True):
        np.testing.assert_array_equal(one, same)
    assert task.describe(model, data)["macs"] > 1e5


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ("none.h5", "there is no such file"),
        ("text.h5", "--weights {}/text.h5"),
        ("text.weights.h5", "--weights {}/text.weights.h5"),
        ("text.txt", "--weights {}/text.txt"),
        ("other.weights.h5", "--weights {}/other.weights.h5"),
        ("", "there is no such file"),
    ],
)
def test_weights_that_cannot_be_read_are_one_line(tmp_path, weights, message):
    for name in ("text.h5", "text.weights.h5", "text.txt"):
        (tmp_path / name).write_text("404: not found")
    keras.Sequential([keras.Input((2,)), keras.layers.Dense(3)]).save_weights(
        tmp_path / "other.weights.h5"
    )
    with pytest.raises(UsageError) as caught:
        recipe(**APPLICATION, weights=f"{tmp_path}/{weights}").build(all_parts(CLASSES, size=32))
    assert message.format(tmp_path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (urllib.error.URLError("Name or service not known"), "_no_top_v2.h5 cannot be downloaded"),
        (TimeoutError("timed out"), "the weights cannot be downloaded: timed out"),
    ],
)
def test_weights_that_cannot_be_downloaded_are_one_line(tmp_path, monkeypatch, error, message):
    from keras.src.backend import config
    from keras.src.utils import file_utils

    timeouts = []

    def fail(*args):
        timeouts.append(socket.getdefaulttimeout())
        raise error

    monkeypatch.setattr(file_utils, "urlretrieve", fail)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setattr(config, "_KERAS_DIR", str(tmp_path))
    with pytest.raises(UsageError) as caught:
        recipe(**APPLICATION, weights="imagenet").build(all_parts(CLASSES, size=32))
    assert message in str(caught.value)
    assert "--weights FILE" in caught.value.hint
    assert str(tmp_path / "models") in caught.value.hint or isinstance(error, TimeoutError)
    assert "\n" not in str(caught.value)
    # A server that does not answer ends the download.
    assert 0 < timeouts[0] <= 30
    assert socket.getdefaulttimeout() is None
