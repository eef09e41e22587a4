"""Everything that docs/recipes.md shows runs: the new recipe, and what one may add to it."""

import ast
import json
import re
import shutil
import textwrap
from pathlib import Path

import keras
import numpy as np
import pytest

import dlrecipes as package
from dlrecipes.errors import UsageError
from dlrecipes.recipe import registry
from dlrecipes.recipe.scaffold import TEMPLATE, new_recipe

GUIDE = Path(__file__).resolve().parents[2] / "docs" / "recipes.md"
ADDED = re.compile(r"# (?P<file>\w+\.py), (?P<place>imports|at the end|in (?P<owner>\w+))\n")


def sections():
    """Returns the code blocks of each section of the guide: `{heading: [(language, code)]}`."""
    _, *parts = re.split(r"(?m)^## ", GUIDE.read_text(encoding="utf-8"))
    blocks = re.compile(r"(?ms)^```(\w+)\n(.*?)^```$")
    return {part.split("\n", 1)[0]: blocks.findall(part) for part in parts}


SECTIONS = sections()


def lines(text):
    return [line for line in text.splitlines() if line.strip()]


def test_the_guide_quotes_the_whole_template():
    quoted = {}
    for _, code in SECTIONS["The three files"]:
        (file, place), code = re.match(r"# (\w+\.py)(.*)", code).groups(), code.split("\n", 1)[1]
        code = textwrap.indent(code, "    ") if place == ", in MyTask" else code
        quoted.setdefault(file, []).extend(lines(code))
    assert quoted == {path.name: lines(path.read_text()) for path in TEMPLATE.glob("*.py")}


def add(folder, code):
    """Adds a block to the recipe's file and place that its first line names."""
    where = ADDED.match(code)
    path, code = folder / where["file"], code[where.end() :]
    text = path.read_text().splitlines()
    tree = ast.parse("\n".join(text))
    if where["place"] == "imports":
        line = next(n.lineno for n in tree.body if isinstance(n, ast.Import | ast.ImportFrom)) - 1
    elif where["owner"]:
        line = next(n.end_lineno for n in tree.body if getattr(n, "name", "") == where["owner"])
        code = "\n" + textwrap.indent(code, "    ")
    else:
        line = len(text)
        code = f"\n\n{code}"
    path.write_text("\n".join([*text[:line], *code.rstrip().splitlines(), *text[line:], ""]))


def recipe_with(folder, *headings):
    """Writes a new recipe with everything that the guide adds to it under some headings."""
    new_recipe(folder)
    for heading in headings:
        for _, code in SECTIONS[heading]:
            if ADDED.match(code):
                add(folder, code)
    return folder


def test_every_python_block_is_tested():
    runs = [code for name, blocks in SECTIONS.items() for _, code in blocks if is_run(name, code)]
    python = [code for blocks in SECTIONS.values() for kind, code in blocks if kind == "python"]
    assert runs == python


def is_run(heading, code):
    """Returns whether the tests below run a block of the section."""
    alone = ("The three files", "From Python")
    return bool(ADDED.match(code)) or heading in alone or "def image_exports" in code


ADDITIONS = [name for name in SECTIONS if name not in ("The three files", "From Python")]


def test_the_recipe_with_plain_keras_trains_and_evaluates(tmp_path):
    folder = recipe_with(tmp_path / "my_task", *ADDITIONS[: ADDITIONS.index("Metrics") + 1])
    recipe = package.load_recipe(folder, layers=1, activation="tanh", dropout=0.1)
    splits = recipe.load_data()
    model = recipe.build(splits)
    batches, steps = recipe.dataset(model, splits.train, start_epoch=0)
    model.fit(batches, steps_per_epoch=steps, epochs=3, verbose=0)
    metrics = recipe.evaluate(model, splits, "test")
    by_class = metrics["accuracy_by_class"]
    assert set(by_class) == {"class 0", "class 1"}
    # Guessing is right for half of the points.
    assert 0.7 < metrics["accuracy"] <= max(by_class.values())


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The names after the guide's Python session, with all additions, and its directory."""
    directory = tmp_path_factory.mktemp("guide")
    recipe_with(directory / "my_task", *ADDITIONS)
    ((_, session),) = SECTIONS["From Python"]
    names = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(directory)
        exec(compile(session, str(GUIDE), "exec"), names)
    return names, directory


def test_the_whole_recipe_runs_and_publishes(finished):
    names, directory = finished
    result = names["result"]
    assert set(result.metrics["test"]) == {"accuracy", "accuracy_by_class"}
    # 2 x 16 + 16 x 16 + 16 x 2 products per point.
    assert result.metrics["macs"] == 32 + 256 + 32
    assert result.examples == [("0,1",)]
    figures = {path.name for path in (directory / result.folder / "figures").iterdir()}
    assert figures == {"learning_curves.png", "confusion.png", "training.gif"}
    version = directory / result.version.folder
    reports = json.loads((version / "assets.extra" / "litert.json").read_text())
    assert set(reports) == {"model.tflite", "model.float16.tflite", "model.int8.tflite"}
    card = (version / "README.md").read_text()
    assert "`lines` are texts such as `0.5,1`" in card
    assert "tabular-classification" in card


def test_predictions_are_those_of_the_guide(finished, monkeypatch):
    names, directory = finished
    monkeypatch.chdir(directory)
    model = names["model"]
    for prediction, line in zip(names["predictions"], ["0,1", "1,-0.5"], strict=True):
        assert prediction["line"] == line
        assert (prediction["label"] is None) == (prediction["probability"] < 0.9)
    (prediction,) = model.predict(["0,1"], threshold=0)
    recipe = package.load_recipe("./my_task")
    assert recipe.present(prediction).startswith(f"0,1: {prediction['label']} (")
    with pytest.raises(UsageError, match="A line is not x,y"):
        model.predict(["zero"], threshold=0)


def test_image_signatures_read_files_and_arrays():
    (code,) = [code for _, code in SECTIONS["Raw inputs and smaller files"] if "image_exp" in code]
    names = {}
    exec(compile(code, str(GUIDE), "exec"), names)
    layers = [keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(2, "softmax")]
    network = keras.Sequential([keras.Input((32, 32, 3)), *layers])
    images = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3), "uint8")
    exports = names["image_exports"](network, images)
    expected = network(images / 255)
    for signature in exports.signatures.values():
        outputs = signature.function(*signature.examples[0])["probabilities"]
        np.testing.assert_allclose(outputs, expected, atol=1e-5)
    rows = [
        exports.litert.function(*example)["probabilities"] for example in exports.litert.examples
    ]
    np.testing.assert_allclose(np.concatenate(rows), expected, atol=1e-5)


def test_an_installed_package_offers_the_recipe_by_name(tmp_path, monkeypatch):
    new_recipe(tmp_path / "my_task")
    (tmp_path / "my_package").mkdir()
    (tmp_path / "my_package" / "__init__.py").touch()
    shutil.move(tmp_path / "my_task", tmp_path / "my_package" / "my_task")
    ((_, toml),) = [block for block in SECTIONS["An installable package"] if block[0] == "toml"]
    entry = re.search(r'\[project\.entry-points\."(.*)"\]\n(.*) = "(.*)"\n', toml)
    # The files that pip writes when it installs the package.
    metadata = tmp_path / "my_package-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: my-package\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(f"[{entry[1]}]\n{entry[2]} = {entry[3]}\n")
    monkeypatch.syspath_prepend(tmp_path)
    source = registry.find("my_task")
    assert source.folder == tmp_path / "my_package" / "my_task"
    assert source.summary.startswith("My task: classify points")
    assert source.config()().units == 32
    assert source.recipe().__name__ == "MyTask"
