"""Networks of the autoencoder and how they are trained; runs of minutes are slow."""

import itertools
import re
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from autoencoder_case import (
    NAME,
    SIDE,
    Unpublished,
    labelled,
    module,
    pixels,
    png,
    random_images,
    recipe,
    run,
)
from sklearn.decomposition import PCA

from dlrecipes.data.digits import LabelledImages
from dlrecipes.export.lite_version import LiteVersion
from dlrecipes.export.version import ModelVersion
from dlrecipes.recipe import Splits, registry
from dlrecipes.runner.run import train


@pytest.fixture(scope="module")
def splits():
    return recipe().load_data()


# Networks.


def test_pca_is_computed_and_its_epoch_changes_nothing(splits, tmp_path, capsys):
    task = recipe(network="pca", epochs=5)
    model, _, checkpoints, metrics = train(task, tmp_path)
    pca = PCA(4, random_state=3).fit(pixels(splits.train))
    expected = pca.inverse_transform(pca.transform(pixels(splits.test)))
    restored = model(splits.test.images / np.float32(255)).numpy()
    np.testing.assert_allclose(restored.reshape(expected.shape), expected, atol=1e-4)
    assert checkpoints.epochs == 1
    assert "Epoch" not in capsys.readouterr().out
    assert "pca" not in metrics["test"]


def test_a_belief_network_classifies_encodes_and_decodes(splits, tmp_path):
    task = recipe(network="dbn", dropout=0.2, input_dropout=0.1, epochs=3)
    model, *_, metrics = train(task, tmp_path, parts=("test",))
    scores = model(splits.test.images / np.float32(255), training=False).numpy()
    accuracy = (scores.argmax(axis=1) == splits.test.labels).mean()
    assert metrics["test"]["accuracy"] == pytest.approx(accuracy)
    assert metrics["test"]["error"] == pytest.approx(1 - accuracy)
    test = splits.test
    reverse = LabelledImages(test.images, 9 - test.labels, test.names[::-1])
    other = task.evaluate(model, Splits(reverse, reverse, reverse), "test")
    assert other["accuracy"] == pytest.approx(accuracy)
    exports = task.signatures(model, splits)
    outputs = exports.signatures["classify"].function(tf.constant([png(splits.test.images[0])]))
    assert exports.signatures["serving_default"] is exports.signatures["classify"]
    assert set(outputs) == {"label", "probabilities", "classes"}
    assert set(exports.litert_parts) == {"encoder", "decoder", "classifier"}
    # The last machine computes the code, and all machines pass it down again.
    machines = [layer for layer in model.network.get_layer("inner").layers if "rbm" in layer.name]
    code = x = pixels(splits.test)[:2].astype("float32")
    for machine in machines:
        code = machine.hidden_probabilities(code)
    x = code
    for machine in machines[::-1]:
        x = machine.visible_probabilities(x)
    numbers = exports.litert.function(tf.constant(splits.test.images[:2] / np.float32(255)))
    np.testing.assert_allclose(numbers["code"], code, atol=1e-5)
    np.testing.assert_allclose(numbers["restored"].numpy().reshape(2, -1), x, atol=1e-5)
    # A prediction says the class, and the card one default.
    (tmp_path / "a.png").write_bytes(png(test.images[0]))
    (answer,) = task.predict(
        Unpublished(exports, tmp_path / "version"),
        [str(tmp_path / "a.png")],
        module("config").PredictOptions(output_dir=str(tmp_path / "restored")),
    )
    row = np.exp(scores[0]) / np.exp(scores[0]).sum()
    assert answer["label"] == test.names[row.argmax()]
    assert answer["probability"] == pytest.approx(row.max(), rel=1e-4)
    assert f": {answer['label']} ({row.max():.1%}); squared error" in task.present(answer)
    assert re.findall(r"`(\w+)` is the default", exports.notes) == ["classify"]


def test_a_convolutional_network_describes_images_in_colour():
    images = random_images(20, channels=3)
    part = labelled(images)
    task = recipe(network="convolutional", hidden_units=(4, 8))
    model = task.build(Splits(part, part, part))
    described = module("scores").describe(model, images)
    assert described.codes.shape == (20, 4)
    assert described.restored.shape == images.shape
    batch, target = next(iter(task.dataset(model, part, 0)[0]))
    assert model.network.count_params() < 20_000
    assert batch.shape == target.shape == (20, SIDE, SIDE, 3)


def weights_of(folder, task):
    folder.mkdir(exist_ok=True)
    return [np.array(w) for w in train(task, folder, parts=())[0].weights]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The folder and the weights of a run that nothing interrupted."""
    folder = tmp_path_factory.mktemp("whole")
    return folder, weights_of(folder, recipe(noise=0.2))


def test_layers_are_pretrained_before_the_first_epoch(whole):
    folder, _ = whole
    first = np.load(folder / "snapshots" / "00000.npy")
    # Filters and samples, as images.
    assert first.shape == (2, 36, SIDE, SIDE, 1)
    assert not (folder / "pretraining").exists()


@pytest.mark.parametrize(
    ("steps", "said"), [(1, "2 epochs, "), (2, "2 epochs of 2 passes over the data, ")]
)
def test_pretraining_says_the_epochs_that_were_asked_for(steps, said, tmp_path, capsys):
    examples = labelled(random_images(50))
    task = recipe(min_steps_per_epoch=steps, pretrain_epochs=2)
    model = task.build(Splits(examples, examples, examples))
    module("pretraining").train(task.config, model, examples, tmp_path)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(", reconstruction")[0] + ", " for line in lines] == [
        f"layer {layer}: {said}" for layer in (1, 2, 3)
    ]


@pytest.mark.parametrize("place", ["pre-training", pytest.param("epochs", marks=pytest.mark.slow)])
def test_a_killed_run_ends_with_the_weights_of_an_uninterrupted_one(
    place, whole, tmp_path, monkeypatch
):
    with monkeypatch.context() as patch:
        killed = recipe(noise=0.2)
        if place == "pre-training":

            def kill(self, epoch, logs=None):
                if self._layer == 2:
                    raise KeyboardInterrupt

            patch.setattr(module("pretraining")._Progress, "on_epoch_end", kill)
        else:
            stop = keras.callbacks.LambdaCallback(on_epoch_begin=lambda epoch, logs: stopped(epoch))
            killed.callbacks = lambda model, splits: [stop]
        with pytest.raises(KeyboardInterrupt):
            weights_of(tmp_path / "cut", killed)
    resumed = weights_of(tmp_path / "cut", recipe(noise=0.2))
    for one, same in zip(whole[1], resumed, strict=True):
        np.testing.assert_array_equal(one, same)


@pytest.mark.slow
def test_epochs_begin_with_the_pretrained_layers(tmp_path):
    errors = {}
    for pretrain in (True, False):
        task = recipe(pretrain=pretrain, activation="sigmoid", pretrain_epochs=40)
        folder = tmp_path / str(pretrain)
        folder.mkdir()
        errors[pretrain] = train(task, folder, parts=("test",))[3]["test"]["squared_error"]
    assert errors[True] < 0.9 * errors[False]


@pytest.mark.slow
@pytest.mark.parametrize("network", ["convolutional", "dbn", "pca"])
def test_every_network_is_published(network, tmp_path, monkeypatch):
    settings = {} if network == "pca" else {"epochs": 1}
    published = run(recipe(network=network, **settings), tmp_path).version.folder
    parts = {"encoder", "decoder", *(["classifier"] if network == "dbn" else [])}
    assert parts <= {path.stem for path in published.glob("*.tflite")}
    said = "Computed, not trained;" if network == "pca" else "Trained for 1 epoch ("
    assert said in (published / "README.md").read_text()
    # Publishing compared the LiteRT files with the SavedModel. They are enough for a prediction.
    monkeypatch.setattr(ModelVersion, "function", None)
    (tmp_path / "a.png").write_bytes(png(random_images(1)[0]))
    options = module("config").PredictOptions(output_dir=str(tmp_path / "restored"))
    (row,) = recipe().predict(LiteVersion(published), [str(tmp_path / "a.png")], options)
    assert ("label" in row) == (network == "dbn")
    assert Path(row["restored"]).is_file()


@pytest.mark.slow
def test_the_default_run_restores_better_than_pca_from_as_many_numbers(tmp_path):
    source = registry.find(NAME)
    task = source.recipe()(source.config()(), NAME)
    test = train(task, tmp_path, parts=("test",))[3]["test"]
    assert test["squared_error"] < 0.75 * test["pca"]["squared_error"]
    assert test["neighbour_accuracy"] > 0.93


def stopped(epoch):
    if epoch == 1:
        raise KeyboardInterrupt


def test_samples_of_a_machine_follow_its_distribution():
    kernel = np.array([[1.5], [-1.0]], "float32")
    biases = np.array([0.3, 0.5], "float32"), np.array([-0.4], "float32")
    machine = module("pretraining").Machine(kernel, *biases, False)
    # The energy of each of the four visible states, summed over the hidden unit.
    states = np.array(list(itertools.product((0, 1), repeat=2)))
    weights = np.exp(states @ biases[0]) * (1 + np.exp(states @ kernel[:, 0] + biases[1]))
    expected = weights / weights.sum()
    rng = np.random.default_rng(0)
    visible = np.zeros((20_000, 2), "float32")
    for _ in range(30):
        visible = machine.gibbs_step(visible, rng)
    counts = np.bincount((visible @ [2, 1]).astype(int), minlength=4) / len(visible)
    np.testing.assert_allclose(counts, expected, atol=0.015)


def test_chains_of_a_stack_begin_with_what_it_restores_of_training_images():
    rng = np.random.default_rng(1)
    own = module("pretraining")
    sizes = ((9, 6), (6, 4))
    stack = [
        own.Machine(*(rng.normal(size=shape) for shape in ((v, h), v, h)), False) for v, h in sizes
    ]
    examples = labelled(random_images(20, side=3))
    first = own.samples(stack, examples, seed=0)[: own.CHAINS]
    chosen = np.random.default_rng(0).choice(len(examples), own.CHAINS)
    visible = pixels(examples)[chosen]

    def logistic(x):
        return 1 / (1 + np.exp(-x))

    for kernel, _, bias, _ in stack:
        visible = logistic(visible @ kernel + bias)
    for kernel, bias, _, _ in stack[::-1]:
        visible = logistic(visible @ kernel.T + bias)
    np.testing.assert_allclose(first, visible, atol=1e-5)


def test_the_filters_are_the_largest_weights():
    kernel = np.random.default_rng(0).normal(size=(9, 40)) * np.arange(40)
    machine = module("pretraining").Machine(kernel, np.zeros(9), np.zeros(40), False)
    filters = module("pretraining").filters(machine)
    assert filters.shape == (36, 9)
    assert 0 <= filters.min() < 0.5 < filters.max() <= 1
    largest = np.argmax(np.square(kernel - kernel.mean(axis=0)).sum(axis=0))
    assert np.corrcoef(filters[0], kernel[:, largest])[0, 1] > 0.95


# Noise.


@pytest.mark.parametrize("kind", ["gaussian", "masking"])
def test_noise_has_its_strength_and_depends_on_the_batch_alone(kind, splits):
    task = recipe(noise=0.25, noise_kind=kind)
    model = task.build(splits)
    grey = labelled(np.full((400, SIDE, SIDE, 1), 128))
    first, steps = task.dataset(model, grey, 0)
    later, _ = task.dataset(model, grey, 1)
    batches = [(x.numpy(), y.numpy()) for x, y in first.take(2 * steps)]
    for (x, _), (again, _) in zip(batches[steps:], later.take(steps), strict=True):
        np.testing.assert_array_equal(x, again)
    noisy, clean = (np.concatenate(side) for side in zip(*batches, strict=True))
    np.testing.assert_allclose(clean, 128 / 255, rtol=1e-6)
    if kind == "masking":
        assert (noisy == 0).mean() == pytest.approx(0.25, abs=0.01)
        np.testing.assert_allclose(noisy[noisy > 0], 128 / 255, rtol=1e-6)
    else:
        # Beyond two standard deviations, 4.5 % of the values are clipped.
        inside = noisy[(noisy > 0) & (noisy < 1)]
        assert (len(inside) / noisy.size) == pytest.approx(0.954, abs=0.01)
        assert 0.2 < noisy.std() < 0.25


def test_psnr_is_the_logarithm_of_the_mean_squared_error():
    images = np.zeros((2, 4, 4, 1), "uint8")
    restored = np.stack([np.full((4, 4, 1), 0.1), np.zeros((4, 4, 1))])
    # -10 log10(0.01) = 20 dB, and the limit of 100 dB for an equal image.
    assert module("scores").psnr(images, restored) == pytest.approx((20 + 100) / 2)
