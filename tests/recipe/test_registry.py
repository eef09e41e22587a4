"""Recipes are found by name, by folder and in other packages; a broken one is one line."""

import importlib.metadata
import os
import subprocess
import sys
from pathlib import Path

import pytest

from dlrecipes.errors import RecipeError, UsageError
from dlrecipes.recipe import Recipe, RecipeConfig, registry

RECIPES = Path(__file__).resolve().parents[2] / "recipes"


def refusal(name, ask=lambda source: None):
    with pytest.raises(UsageError) as caught:
        ask(registry.find(str(name)))
    assert "\n" not in caught.value.message
    return caught.value


@pytest.fixture
def installed(monkeypatch):
    """Declares entry points, as installed packages do."""
    real = importlib.metadata.entry_points

    def declare(**packages):
        points = [
            importlib.metadata.EntryPoint(name, value, registry.ENTRY_POINTS)
            for name, value in packages.items()
        ]

        def entry_points(**selected):
            return points if selected == {"group": registry.ENTRY_POINTS} else real(**selected)

        monkeypatch.setattr(importlib.metadata, "entry_points", entry_points)

    return declare


def test_every_folder_in_recipes_is_known_by_its_name():
    folders = {
        path.name for path in RECIPES.iterdir() if path.is_dir() and path.name[0] not in "_."
    }
    assert {source.name for source in registry.sources()} >= folders
    assert "slot_filling" in folders


def test_recipes_are_sorted_and_each_has_a_summary_of_one_line():
    names = [source.name for source in registry.sources()]
    assert names == sorted(names)
    for source in registry.sources():
        text = (source.folder / "__init__.py").read_text(encoding="utf-8")
        assert source.summary and source.summary in text.splitlines()[0]


def test_a_recipe_gives_its_own_classes():
    source = registry.find("slot_filling")
    assert issubclass(source.config(), RecipeConfig)
    assert issubclass(source.recipe(), Recipe)
    assert source.recipe().Config is source.config()


@pytest.mark.parametrize("written", ["mine", "./mine", "./mine/", "../here/mine", "{}", "~/mine"])
def test_a_folder_is_found_however_it_is_written(own_recipe, tmp_path, monkeypatch, written):
    folder = own_recipe(under=tmp_path / "here")
    monkeypatch.chdir(folder.parent)
    monkeypatch.setenv("HOME", str(folder.parent))
    source = registry.find(written.format(folder))
    assert (source.name, source.folder) == ("mine", folder)


def test_a_name_goes_before_a_folder_of_that_name(own_recipe, tmp_path, monkeypatch):
    own_recipe("slot_filling")
    monkeypatch.chdir(tmp_path)
    assert registry.find("slot_filling").folder == RECIPES / "slot_filling"
    assert registry.find("./slot_filling").folder == tmp_path / "slot_filling"


@pytest.mark.parametrize("name", ["slotfilling", "slot-filling", "slots_filling"])
def test_an_unknown_name_gets_the_nearest(name):
    error = refusal(name)
    assert error.message == f"Unknown recipe {name!r}."
    assert error.hint == "Did you mean 'slot_filling'?"


@pytest.mark.parametrize("name", ["", "qqqq"])
def test_a_name_like_no_other_is_sent_to_list(name):
    assert "dlrecipes list" in refusal(name).hint


def test_a_missing_folder_gets_the_nearest_name(own_recipe, tmp_path):
    own_recipe("my_slots")
    error = refusal(tmp_path / "my_slot")
    assert error.message == f"{tmp_path / 'my_slot'}: there is no such folder."
    assert error.hint == "Did you mean 'my_slots'?"
    assert refusal(tmp_path / "neither" / "nor").hint == ""


def test_an_unknown_home_folder_is_refused():
    assert "no such home folder" in refusal("~no_such_user_here/mine").message


def test_a_folder_without_its_files_is_refused(own_recipe):
    folder = own_recipe()
    (folder / "recipe.py").unlink()
    error = refusal(folder)
    assert error.message == f"{folder}: not a recipe: it has no recipe.py."
    assert "dlrecipes new" in error.hint


def test_a_file_is_refused(tmp_path):
    (tmp_path / "mine").write_text("")
    assert "no such folder" in refusal(tmp_path / "mine").message


@pytest.mark.parametrize("module", ["__init__", "config", "recipe", "data"])
def test_a_syntax_error_names_file_and_line(own_recipe, module):
    folder = own_recipe(**{module: '"""Broken."""\n\nx = (\n'})
    error = refusal(folder, lambda source: (source.config(), source.recipe()))
    assert error.message.startswith(f"{folder / module}.py:3: SyntaxError: ")
    assert error.hint.endswith(f"dlrecipes validate {folder}")


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ("import no_such_package_here", "ModuleNotFoundError"),
        ("from .data import no_such_name_here", "ImportError"),
        ("1 / 0", "ZeroDivisionError"),
        ("raise ValueError('first line\\nsecond line')", "ValueError: first line."),
    ],
)
def test_an_error_while_importing_names_file_and_line(own_recipe, line, kind):
    folder = own_recipe(config=f'"""Broken."""\n{line}\n')
    error = refusal(folder, lambda source: source.config())
    assert error.message.startswith(f"{folder / 'config.py'}:2: {kind}")


def test_an_error_in_a_module_of_the_folder_is_placed_there(own_recipe):
    folder = own_recipe(data='"""Broken."""\n\n\nimport no_such_package_here\n')
    error = refusal(folder, lambda source: source.recipe())
    assert error.message.startswith(f"{folder / 'data.py'}:4: ModuleNotFoundError")


def test_a_mended_folder_is_imported_in_the_same_process(own_recipe, tmp_path):
    folder = own_recipe(__init__="x = (\n")
    refusal(folder, lambda source: source.config())
    (folder / "__init__.py").write_text('"""Mended."""\n')
    assert issubclass(registry.find(str(folder)).config(), RecipeConfig)


CLASS = 'class {}(RecipeConfig):\n    """Settings."""\n'


@pytest.mark.parametrize(("classes", "found"), [([], "none"), (["One", "Other"], "One, Other")])
def test_a_module_has_exactly_one_class(own_recipe, classes, found):
    text = "from dlrecipes.recipe import RecipeConfig\n" + "".join(map(CLASS.format, classes))
    folder = own_recipe(config=text)
    error = refusal(folder, lambda source: source.config())
    expected = f"expected one class derived from RecipeConfig, got {found}."
    assert error.message == f"{folder / 'config.py'}: {expected}"


def test_a_class_that_is_only_imported_does_not_count(own_recipe):
    other = "from dlrecipes.recipe.registry import find\nOther = find('slot_filling').config()\n"
    text = "from dlrecipes.recipe import RecipeConfig\n" + CLASS.format("Own")
    folder = own_recipe(config=other + text)
    assert registry.find(str(folder)).config().__name__ == "Own"


def test_relative_imports_of_a_folder_work_from_any_working_directory(
    own_recipe, tmp_path, monkeypatch
):
    folder = own_recipe("my slots ä")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    source = registry.find("../my slots ä")
    recipe = source.recipe()
    assert recipe.Config is source.config()
    assert Path(sys.modules[f"{source.package}.data"].__file__) == folder / "data.py"
    monkeypatch.chdir("/")
    assert source.recipe() is recipe


def test_two_folders_of_one_name_are_two_recipes(own_recipe, tmp_path):
    one, other = (own_recipe("mine", tmp_path / place) for place in ("one", "other"))
    other.joinpath("config.py").write_text(
        (one / "config.py").read_text().replace("units:", "width:")
    )
    assert "units" in registry.find(str(one)).config().model_fields
    assert "width" in registry.find(str(other)).config().model_fields
    assert "width" not in registry.find(str(one)).config().model_fields


def test_another_packages_recipe_is_found_by_its_entry_point(
    own_recipe, tmp_path, monkeypatch, installed
):
    package = tmp_path / "their_package"
    folder = own_recipe("their_task", package)
    (package / "__init__.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    installed(theirs="their_package.their_task")
    source = registry.find("theirs")
    assert (source.folder, source.summary) == (folder, "Mine: does nothing.")
    assert source.recipe().__module__ == "their_package.their_task.recipe"
    assert {"theirs", "slot_filling"} <= {source.name for source in registry.sources()}


@pytest.mark.parametrize("value", ["no_such_package_here", "no_such_package_here.task"])
def test_a_broken_package_takes_no_other_recipe_away(installed, value):
    installed(broken=value)
    names = [source.name for source in registry.sources()]
    assert "slot_filling" in names
    assert "broken" not in names


def test_a_broken_package_that_exists_takes_no_other_recipe_away(tmp_path, monkeypatch, installed):
    (tmp_path / "broken_package_here.py").write_text("1 / 0\n")
    monkeypatch.syspath_prepend(tmp_path)
    installed(broken="broken_package_here.task")
    assert "slot_filling" in [source.name for source in registry.sources()]


LIGHT = """
import sys
import dlrecipes, dlrecipes.recipe.registry, dlrecipes.errors, dlrecipes.recipe
from dlrecipes.cli.main import main
dlrecipes.recipe.registry.find("slot_filling").config()
for args in (["list"], ["info", "slot_filling"], ["--help"], ["run", "slot_filling", "--help"]):
    try:
        main(args)
    except SystemExit as ended:
        assert ended.code == 0, (args, ended.code)
heavy = {"tensorflow", "keras", "matplotlib", "numpy", "sklearn", "tensorflow_datasets"}
print("loaded:", *sorted(heavy & set(sys.modules)))
"""


def test_what_answers_at_once_loads_no_tensorflow(tmp_path):
    ended = subprocess.run(
        [sys.executable, "-c", LIGHT], capture_output=True, text=True, cwd=tmp_path, check=False
    )
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.splitlines()[-1] == "loaded:"


@pytest.mark.parametrize("args", [["--help"], ["list"], ["info", "slot_filling"]], ids=" ".join)
def test_what_answers_at_once_takes_little_time(args, tmp_path):
    def seconds():
        before = os.times()
        subprocess.run(
            [sys.executable, "-m", "dlrecipes", *args], stdout=-3, cwd=tmp_path, check=True
        )
        after = os.times()
        return sum(after[2:4]) - sum(before[2:4])  # user and system time of children

    assert min(seconds() for _ in range(2)) < 0.4


PREDICT = """\
def predict(version, inputs, options):
    return {returned}


def present(prediction):
    return f"<{{prediction}}>"
"""


@pytest.fixture
def with_predictions(own_recipe):
    """Writes a `predict.py` with both functions; `recipe.py` cannot be imported."""

    def write(returned):
        folder = own_recipe()
        (folder / "recipe.py").write_text("raise ImportError('TensorFlow')\n")
        (folder / "predict.py").write_text(PREDICT.format(returned=returned))
        source = registry.find(str(folder))
        return folder, source.predictions(source.config()())

    return write


def test_a_predict_module_with_both_functions_replaces_the_class(with_predictions):
    _, functions = with_predictions("[text.upper() for text in inputs]")
    assert functions.predict(None, ["a", "b"], None) == ["A", "B"]
    assert functions.present("A") == "<A>"
    assert functions.independent_inputs


def test_a_predict_module_may_compare_all_its_inputs(own_recipe):
    folder = own_recipe()
    code = PREDICT.format(returned="inputs") + "INDEPENDENT_INPUTS = False\n"
    (folder / "predict.py").write_text(code)
    source = registry.find(str(folder))
    assert not source.predictions(source.config()()).independent_inputs


@pytest.mark.parametrize(
    ("returned", "message"),
    [("1 / 0", "ZeroDivisionError: division by zero"), ("None", "predict returned nothing")],
)
def test_a_mistake_in_a_predict_module_names_file_and_line(with_predictions, returned, message):
    folder, functions = with_predictions(returned)
    with pytest.raises(RecipeError, match=message) as caught:
        functions.predict(None, ["a"], None)
    assert caught.value.message.startswith(f"{folder / 'predict.py'}:2")


def test_without_both_functions_the_class_predicts(own_recipe):
    folder = own_recipe()
    (folder / "predict.py").write_text(
        "def prepare(version, inputs, options):\n    return inputs\n"
    )
    source = registry.find(str(folder))
    functions = source.predictions(source.config()())
    assert functions.predict.__name__ == "predict"
    assert functions.present({"x": "y"}) == "x  y"
