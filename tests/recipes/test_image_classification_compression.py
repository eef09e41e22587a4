"""Image classification: pruned, distilled and quantization-aware versions, and their cards."""

import json
import shutil
import warnings

import keras
import numpy as np
import pytest

from dlrecipes import runner
from dlrecipes.errors import RecipeError, UsageError
from dlrecipes.export import change, checksums
from dlrecipes.export.version import ModelVersion
from dlrecipes.layers import FakeQuantize
from dlrecipes.metrics import sparsity
from dlrecipes.recipe import registry
from dlrecipes.recipe.versions import located
from dlrecipes.runner import run_folder
from dlrecipes.training import MagnitudePruning, QuantizationAwareTraining

SMALL = {
    **{"subject": "x_or_o", "images": 100, "size": 24, "network": "small_cnn", "width": 0.25},
    **{"epochs": 3, "min_steps_per_epoch": 4, "batch_size": 25},
}


def module(name):
    return registry.find("image_classification")._module(name)


def recipe(**settings):
    source = registry.find("image_classification")
    return source.recipe()(source.config().parse({**SMALL, **settings}), source.name)


def run(root, **settings):
    task = recipe(**settings)
    task.config = located(task.config, root / "models", task.name)
    return runner.run(task, run_folder.new_folder(root / "runs", None), root / "models")


def card(result):
    return (result.version.folder / "README.md").read_text(encoding="utf-8")


def formats(folder):
    text = (folder / "README.md").read_text(encoding="utf-8")
    return text.partition("\n## Formats")[2].partition("\n## ")[0]


def rows(result):
    lines = formats(result.version.folder).splitlines()
    header, _, *cells = [line.strip("| ").split(" | ") for line in lines if line.startswith("|")]
    return {row[0].strip("`"): dict(zip(header, row, strict=False)) for row in cells}


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return tmp_path_factory.mktemp("compression")


@pytest.fixture(scope="module", autouse=True)
def every_format():
    """Publishes smaller files whatever they lose: eight steps of training leave near ties."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module("recipe"), "MAX_DROP", 1.0)
        yield


@pytest.fixture(scope="module")
def teacher(root):
    return run(root, epochs=1, size=28).version.folder


@pytest.fixture(scope="module")
def untrained(tmp_path_factory):
    """A version with what a teacher needs, without its graphs."""
    folder = tmp_path_factory.mktemp("untrained") / "1"
    (folder / "assets.extra").mkdir(parents=True)
    task = recipe(size=28)
    model = task.build(task.load_data())
    model.save(folder / "model.keras")
    texts = {
        "saved_model.pb": "-",
        "model.tflite": "-",
        "assets.extra/metrics.json": json.dumps({"recipe": task.name}),
        "assets.extra/config.yaml": task.config.to_yaml(),
        "assets.extra/labels.txt": "".join(f"{name}\n" for name in model.class_names),
    }
    for name, text in texts.items():
        (folder / name).write_text(text)
    checksums.write(folder)
    return folder


@pytest.fixture(scope="module")
def student(root, teacher):
    settings = {"prune": 0.8, "quantize_aware": True, "ema": 0.5, "mirror": True, "epochs": 2}
    with warnings.catch_warnings(record=True) as caught:
        result = run(root, teacher=str(teacher), **settings)
    # Two epochs suffice for the whole schedule.
    assert not [w for w in caught if "before the sparsity" in str(w.message)]
    return result


@pytest.mark.slow
def test_a_version_that_was_compressed_three_ways_is_a_plain_classifier(student):
    model = student.version.keras_model()
    assert model.network.name == "image_classification"
    assert not [x for x in model._flatten_layers() if isinstance(x, FakeQuantize)]
    assert all(abs(value - 0.8) < 0.02 for value in sparsity(model).values())
    assert abs(student.metrics["sparsity"] - 0.8) < 0.01


@pytest.mark.slow
def test_the_card_has_one_table_of_all_files_with_the_teacher_and_the_zeros(student, teacher):
    table = rows(student)
    kinds = [table[name]["format"] for name in list(table)[:4]]
    methods = "pruned, distilled, quantization-aware"
    assert kinds == [f"{kind}, {methods}" for kind in ("float32", "float16", "dynamic", "int8")]
    other = table["teacher: models, version 1".replace("models", teacher.parent.name)]
    size = (teacher / "model.tflite").stat().st_size
    assert other["bytes"] == f"{size:,}"
    measured = json.loads((teacher / "assets.extra/litert.json").read_text())["model.tflite"]
    # On the same test images, in the teacher's own size.
    assert float(other["accuracy, test"]) == pytest.approx(measured["accuracy"], abs=1e-4)
    assert float(other["ms per example"]) > 0
    for name in ("model.tflite", "model.int8.tflite", "saved_model.pb", "model.keras"):
        assert float(table[name]["zero weights"].rstrip("%")) >= 79, name


@pytest.mark.slow
def test_the_teacher_is_recorded_with_its_checksum(student, teacher):
    digest = json.loads((teacher / "assets.extra/checksums.json").read_text())
    recorded = student.metrics["teacher"]
    assert recorded["version"] == str(teacher)
    assert recorded["sha256"] in json.dumps(digest)
    assert recorded["sha256"] in card(student)


@pytest.mark.slow
def test_a_distilled_version_is_exported_again_after_its_teacher_is_gone(
    student, root, tmp_path, capsys
):
    config = module("config").Config
    stored = config.from_yaml(student.version.config_file)
    task = recipe(**stored)
    gone = str(tmp_path / "gone" / "1")
    task.config = task.config.model_copy(update={"teacher": gone})
    version = ModelVersion(shutil.copytree(student.version.folder, tmp_path / "models" / "1"))
    without = change.plan(version.folder, [], False, True)
    smaller = change.apply(version.folder, without, lambda: runner.load_exports(task, version))
    again = change.plan(smaller, ["int8"], False, True)
    folder = change.apply(smaller, again, lambda: runner.load_exports(task, version))
    assert (folder / "model.int8.tflite").is_file()
    err = capsys.readouterr().err
    assert err.count("the model card does not compare with --teacher") == 1
    assert "int8, pruned, distilled" in formats(folder)
    assert "teacher" not in formats(folder)


@pytest.mark.parametrize(
    ("settings", "begin", "end"),
    [
        ({"epochs": 10}, 10, 60),
        # A published network is pruned from its first step on.
        ({"epochs": 10, "start": "1"}, 0, 60),
        # Frozen layers are not.
        ({"epochs": 10, "start": "1", "freeze": 5}, 50, 80),
        ({"epochs": 1}, 1, 6),
    ],
)
def test_pruning_begins_and_ends_within_the_epochs_that_train_all_layers(settings, begin, end):
    config = recipe(prune=0.8, lr_schedule="constant", **settings).config
    (pruning,) = [
        callback
        for callback in module("training").callbacks(config, 10)
        if isinstance(callback, MagnitudePruning)
    ]
    assert (pruning.begin_step, pruning.end_step) == (begin, end)
    assert pruning.sparsity_at(10 * config.epochs) == 0.8


@pytest.mark.parametrize("steps", [1, 2, 3, 10])
@pytest.mark.parametrize("epochs", [1, 2, 3, 16])
def test_few_steps_reach_the_final_sparsity(steps, epochs):
    config = recipe(prune=0.8, epochs=epochs).config
    (pruning,) = module("training").callbacks(config, steps)
    assert pruning.begin_step < pruning.end_step <= steps * epochs


@pytest.mark.parametrize(("epochs", "first"), [(1, 0), (2, 1), (3, 2), (9, 6), (16, 10), (30, 20)])
def test_the_last_third_of_the_epochs_rounds_and_has_the_best_one(epochs, first):
    task = recipe(quantize_aware=True, epochs=epochs)
    (rounding,) = module("training").callbacks(task.config, 10)
    assert isinstance(rounding, QuantizationAwareTraining)
    assert rounding.start_from_epoch == task.start_from_epoch == first


def test_pruning_names_what_it_leaves():
    x = keras.Input((8, 8, 3))
    y = keras.layers.Conv2D(10, 1, name="conv")(keras.layers.DepthwiseConv2D(3)(x))
    # 30 of 30 + 10 + 27 + 3 parameters.
    sentence = module("compression").pruned_weights(recipe(prune=0.5).config, keras.Model(x, y))
    assert "--prune 0.5" in sentence
    assert "42.9% of all parameters" in sentence
    assert "depthwise kernels" in sentence


def build(teacher, **settings):
    task = recipe(teacher=str(teacher), **settings)
    return task.build(task.load_data())


def test_teachers_that_do_not_fit_are_refused_in_one_line(untrained, tmp_path):
    with pytest.raises(UsageError, match="classes are not those of the data") as error:
        build(untrained, subject="cats_dogs")
    assert "\n" not in error.value.message
    with pytest.raises(RecipeError, match=r"--teacher .*gone"):
        build(tmp_path / "gone")
    with pytest.raises(RecipeError, match=r"--teacher .*gone") as error:
        # As a resumed run names it.
        build(f"{tmp_path}/gone@sha256:{'0' * 64}")
    assert "Put its folder back" in error.value.hint
    other = shutil.copytree(untrained, tmp_path / "1")
    facts = other / "assets.extra/metrics.json"
    facts.write_text(json.dumps({**json.loads(facts.read_text()), "recipe": "facenet"}))
    with pytest.raises(RecipeError, match="--teacher"):
        build(other)


def test_a_teacher_whose_classes_have_another_order_is_compared_by_name(untrained, tmp_path):
    other = shutil.copytree(untrained, tmp_path / "1")
    labels = other / "assets.extra/labels.txt"
    names = labels.read_text().split()
    labels.write_text("".join(f"{name}\n" for name in reversed(names)))
    version, compression = ModelVersion(other), module("compression")
    compression.check_classes(version, tuple(reversed(names)), tuple(names))
    task = recipe(teacher=str(other))
    test = task.load_data().test
    reference = compression._reference(task.config, version, test)
    right = reference.measure(lambda images: {"probabilities": np.eye(2)[[0] * len(images)]})
    # The first column is the second class of the data.
    assert right == pytest.approx(np.mean(test.labels == 1))
