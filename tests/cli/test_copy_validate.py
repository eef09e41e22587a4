"""A recipe of one's own: copied whole, and checked before it is run."""

import re
import shlex

import pytest

from dlrecipes.cli.validate import SECTIONS
from dlrecipes.recipe import readme, registry
from dlrecipes.recipe.readme import COLUMNS

BUILT_IN = registry.find("slot_filling").folder
MARKERS = "\n".join(f"<!-- {name}: generated -->\n<!-- end -->" for name in ("settings", "results"))


def contents(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def documented(folder):
    """Gives a recipe's folder the README and the results of a built-in one."""
    sections = "\n".join(f"## {section}\n\n" for section in SECTIONS)
    (folder / "README.md").write_text(f"# Mine\n\n{sections}{MARKERS}\n", encoding="utf-8")
    (folder / "results.csv").write_text(",".join(COLUMNS) + "\n", encoding="utf-8")
    (folder / "README.md").write_text(readme.updated(folder), encoding="utf-8")
    return folder


@pytest.fixture
def kept(own_recipe, forget):
    """A folder that follows the contract."""
    folder = documented(own_recipe())
    forget(folder)
    return folder


@pytest.fixture
def files_only(monkeypatch):
    """Leaves out the step of training, which `tests/runner/test_rehearsal.py` covers."""
    monkeypatch.setattr("dlrecipes.runner.rehearsal.rehearse", lambda *given: [])


@pytest.fixture
def documented_recipe(kept, monkeypatch):
    """The same folder, as if it were a built-in recipe: only those document themselves."""
    monkeypatch.setattr(registry.Source, "is_built_in", True)
    return kept


def problems(answer, folder):
    """Returns what `validate` found, each a line, without the folder's path."""
    assert (answer.code, answer.out) == (1, "")
    lines = answer.err.splitlines()
    assert all(line.startswith(f"Error: {folder}/") for line in lines)
    return [line.removeprefix(f"Error: {folder}/") for line in lines]


@pytest.mark.parametrize("name", ["mine", "my slots", "Мои слоты 数据 ä", "it's"])
def test_a_copy_is_whole_and_its_next_commands_can_be_typed(
    dlrecipes, own_recipe, empty_directory, name
):
    source = own_recipe("theirs")
    for rubbish in ("__pycache__", ".cache"):
        (source / rubbish).mkdir()
        (source / rubbish / "data.pyc").write_bytes(b"rubbish")
    (source / "words").mkdir()
    (source / "words" / "all.txt").write_text("words")
    answer = dlrecipes("copy", source, name)
    assert (answer.code, answer.err) == (0, "")
    copy = empty_directory / name
    assert [path.name for path in empty_directory.iterdir()] == [name]
    assert not (copy / "__pycache__").exists()
    expected = contents(source)
    assert expected.pop(".cache/data.pyc")
    assert contents(copy) == expected
    commands = [shlex.split(line) for line in answer.out.splitlines()[1:]]
    assert commands == [["dlrecipes", verb, f"./{name}"] for verb in ("validate", "run")]
    assert dlrecipes("info", f"./{name}").out.startswith(f"{name}: Mine: does nothing.")


@pytest.mark.parametrize("source", registry.sources(), ids=lambda source: source.name)
def test_a_copy_has_its_own_name_and_no_results(dlrecipes, empty_directory, source):
    assert dlrecipes("copy", source.name, "my 'task'").code == 0
    copy = empty_directory / "my 'task'"
    before, after = contents(source.folder), contents(copy)
    assert before.keys() == after.keys()
    assert after["results.csv"].decode() == ",".join(COLUMNS) + "\n"
    text = after["README.md"].decode()
    assert text.startswith(f"# my 'task'\n\nA copy of the recipe {source.name}.\n")
    for name, content in after.items():
        if name.endswith((".py", ".md")):
            command = rf"dlrecipes (run|predict|evaluate|tune|validate) {source.name}\b"
            assert not re.search(command, content.decode()), name
        if name.endswith(".py"):
            compile(content, name, "exec")
    commands = [line for line in text.splitlines() if line.startswith("dlrecipes run ")]
    assert commands
    # The shell reads the name as one word.
    assert {shlex.split(line.split("#")[0].rstrip("\\ "))[2] for line in commands} == {
        "./my 'task'"
    }
    results = text.split("## Results\n")[1].split("\n## ")[0]
    assert "None yet." in results
    assert not re.search(r"\d", results)


def test_a_copy_keeps_the_code(dlrecipes, empty_directory):
    assert dlrecipes("copy", "slot_filling", "mine").code == 0
    own = contents(empty_directory / "mine")
    for name, content in contents(BUILT_IN).items():
        if name in ("data.py", "config.py"):
            content = content.replace(b"slot_filling", b"mine")
        if name not in ("README.md", "results.csv"):
            assert own[name] == content, name


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("there", "there: this exists already."),
        ("file", "file: this exists already."),
        ("missing/mine", "missing: there is no such folder."),
        ("file/mine", "file: there is no such folder."),
    ],
)
def test_a_refused_copy_leaves_everything_as_it_was(dlrecipes, empty_directory, target, message):
    (empty_directory / "there").mkdir()
    (empty_directory / "file").write_text("mine")
    answer = dlrecipes("copy", "slot_filling", target)
    assert answer.code == 2
    assert answer.err.splitlines()[0] == f"Error: {message}"
    assert sorted(path.name for path in empty_directory.rglob("*")) == ["file", "there"]
    assert (empty_directory / "file").read_text() == "mine"


def test_a_copy_that_fails_leaves_nothing(dlrecipes, own_recipe, empty_directory, monkeypatch):
    def full(*args, **options):
        (empty_directory / args[1].name).mkdir()
        raise OSError(28, "No space left on device", str(args[1]))

    monkeypatch.setattr("dlrecipes.recipe.scaffold.shutil.copytree", full)
    answer = dlrecipes("copy", own_recipe("theirs"), "mine")
    assert answer.code == 1
    assert "No space left" in answer.err
    assert list(empty_directory.iterdir()) == []


def test_a_recipe_that_follows_the_contract_passes(dlrecipes, kept, files_only):
    answer = dlrecipes("validate", kept)
    assert (answer.code, answer.err) == (0, "")
    assert answer.out == f"{kept}: mine follows the contract.\n"


def test_built_in_recipes_follow_the_contract(dlrecipes, files_only):
    for source in registry.sources():
        answer = dlrecipes("validate", source.name)
        assert (answer.code, answer.err) == (0, ""), source.name


def test_validate_finds_everything_at_once(dlrecipes, documented_recipe):
    (documented_recipe / "data.py").unlink()
    config = (documented_recipe / "config.py").read_text()
    (documented_recipe / "config.py").write_text(config.replace('"Hidden units."', '""'))
    (documented_recipe / "extra.py").write_text(
        '"""More."""\n\nfrom recipes.slot_filling import predict\n'
    )
    (documented_recipe / "words.py").write_text('"""Words."""\n\nwords = [\n')
    found = problems(dlrecipes("validate", documented_recipe), documented_recipe)
    expected = [
        "data.py: this file is missing.",
        "extra.py:3: imports recipes.slot_filling; inside a recipe write 'from . import'.",
        "words.py:3: '[' was never closed.",
        "config.py: units has no line of help.",
        "recipe.py:5: ImportError: ",
        "README.md: its tables are not those of config.py and results.csv; type: ",
    ]
    assert len(found) == len(expected)
    for line, start in zip(found, expected, strict=True):
        assert line.startswith(start)


@pytest.mark.parametrize("module", ["__init__", "config", "recipe"])
def test_validate_reports_a_broken_line_once(dlrecipes, kept, module):
    (kept / f"{module}.py").write_text('"Doc."\n\nx = (\n')
    (found,) = problems(dlrecipes("validate", kept), kept)
    assert found == f"{module}.py:3: '(' was never closed."


@pytest.mark.parametrize("name", ["README.md", "results.csv"])
def test_validate_asks_built_in_recipes_for_documents(dlrecipes, documented_recipe, name):
    (documented_recipe / name).unlink()
    answer = dlrecipes("validate", documented_recipe)
    assert problems(answer, documented_recipe) == [f"{name}: this file is missing."]


def test_a_recipe_of_ones_own_needs_no_documents(dlrecipes, kept, files_only):
    for name in ("README.md", "results.csv"):
        (kept / name).unlink()
    assert dlrecipes("validate", kept).code == 0


@pytest.mark.parametrize(
    ("module", "old", "new", "start"),
    [
        ("__init__", '"""Mine: does nothing."""', "", "__init__.py: expected a docstring"),
        ("config", "(8,", "(65,", "config.py: 1 setting is wrong"),
        ("config", "units:", "resume:", "config.py: resume is an option of 'run' itself."),
        ("config", "units:", "config:", "config.py: config is an option of 'run' itself."),
        ("recipe", "dataset = ", "", "recipe.py: Mine has no dataset()."),
        ("recipe", "    Config = Config\n", "", "recipe.py: Mine.Config is not config.py's class."),
        (
            "data",
            '"""Data."""',
            "import dlrecipes.recipes.slot_filling.data",
            "data.py:1: imports dlrecipes.recipes.slot_filling.data; ",
        ),
    ],
)
def test_validate_finds_what_violates_the_contract(
    dlrecipes, kept, forget, module, old, new, start
):
    path = kept / f"{module}.py"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    (kept / "README.md").write_text(readme.updated(kept))
    forget(kept)
    answer = dlrecipes("validate", kept)
    assert answer.code == 1
    assert answer.err.startswith(f"Error: {kept}/{start}")


@pytest.mark.parametrize(
    ("old", "new", "start"),
    [
        ("## Data\n", "## Date\n", "README.md: the section '## Data' is missing."),
        ("| `8` |", "| `9` |", "README.md: its tables are not those of config.py"),
        (
            "<!-- results: generated -->",
            "",
            "README.md: expected one section '<!-- results: generated",
        ),
    ],
)
def test_validate_compares_the_readme(dlrecipes, documented_recipe, old, new, start):
    text = (documented_recipe / "README.md").read_text()
    assert old in text
    (documented_recipe / "README.md").write_text(text.replace(old, new, 1))
    (found,) = problems(dlrecipes("validate", documented_recipe), documented_recipe)
    assert found.startswith(start)


@pytest.mark.parametrize("name", ["README.md", "results.csv", "data.py"])
def test_validate_names_a_file_that_is_not_utf8(dlrecipes, documented_recipe, name):
    with (documented_recipe / name).open("ab") as file:
        file.write(b"# \xff\n")
    found = problems(dlrecipes("validate", documented_recipe), documented_recipe)
    assert f"{name}: not UTF-8." in found


def test_validate_checks_a_yaml_file_too(dlrecipes, kept, files_only, tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("units: 9\n")
    assert dlrecipes("validate", kept, "--config", path).code == 0
    path.write_text("units: 65\nunit: 3\n")
    answer = dlrecipes("validate", kept, "--config", path)
    assert answer.code == 1
    assert answer.err.startswith(f"Error: {path}: 2 settings are wrong:\n")


def test_validate_refuses_a_folder_without_a_recipe(dlrecipes, tmp_path):
    answer = dlrecipes("validate", tmp_path)
    assert answer.code == 2
    assert "not a recipe" in answer.err
