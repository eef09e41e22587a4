"""The tree is what the design says: imports run downwards, everything public is explained."""

import ast
from pathlib import Path

import pytest

from dlrecipes import registry

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "dlrecipes"
RECIPES = ROOT / "recipes"

# Floors, highest first; a module imports its own floor and those below.
FLOORS = (
    ("cli",),
    ("runner", "export", "serving", "tuning"),
    ("recipes",),
    ("training",),
    ("models",),
    ("layers", "losses"),
)
HEIGHT = {name: -depth for depth, names in enumerate(FLOORS) for name in names}
ANY_BACKEND = ("layers", "models", "losses")
# What TensorFlow alone is fast with; loaded only there, and never needed.
TENSORFLOW_ONLY = {
    "dlrecipes.layers._cpu_cells",
    "dlrecipes.layers._cpu_recurrence",
    "dlrecipes.layers._fused_batch_norm",
}


def module_name(path):
    parts = path.relative_to(ROOT).with_suffix("").parts
    parts = parts if parts[0] == "dlrecipes" else ("dlrecipes", *parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


FILES = {
    module_name(path): path
    for folder in (PACKAGE, RECIPES)
    for path in sorted(folder.rglob("*.py"))
}
TREES = {name: ast.parse(path.read_text(encoding="utf-8")) for name, path in FILES.items()}


def imports(name, only_at_start=False):
    """Returns the full names that a module imports, anywhere in it or when it is loaded."""
    package = name if FILES[name].name == "__init__.py" else name.rpartition(".")[0]
    found = set()
    for node in at_start(TREES[name]) if only_at_start else ast.walk(TREES[name]):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) + 1 - node.level]
            base = ".".join([*above, *([node.module] if node.module else [])])
            base = base if node.level else node.module
            found |= {base, *(f"{base}.{alias.name}" for alias in node.names)}
    return found


def at_start(node):
    """Yields the nodes that run when a module is loaded."""
    yield node
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
        return
    if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
        return
    for child in ast.iter_child_nodes(node):
        yield from at_start(child)


def floor(name):
    """Returns the part of `dlrecipes` that a full name lies in."""
    parts = name.split(".")
    return parts[1] if parts[0] == "dlrecipes" and len(parts) > 1 else None


def within(*floors):
    return [name for name in FILES if floor(name) in floors]


def packages(names):
    return {name.split(".")[0] for name in names}


def test_the_reader_of_imports_sees_relative_and_inner_ones():
    found = imports("dlrecipes.recipes.slot_filling.recipe")
    assert "dlrecipes.recipes.slot_filling.config.Config" in found
    assert "dlrecipes.runner" in imports("dlrecipes.cli.run")
    assert "dlrecipes.runner" not in imports("dlrecipes.cli.run", only_at_start=True)


@pytest.mark.parametrize("name", [name for name in FILES if floor(name) in HEIGHT])
def test_imports_run_downwards(name):
    used = {floor(other) for other in imports(name)} & set(HEIGHT)
    assert {other for other in used if HEIGHT[other] > HEIGHT[floor(name)]} == set()


@pytest.mark.parametrize("name", within(*ANY_BACKEND))
def test_layers_models_and_losses_work_on_every_backend(name):
    frameworks = {"tensorflow", "torch", "jax"}
    if name not in TENSORFLOW_ONLY:
        assert not imports(name, only_at_start=True) & TENSORFLOW_ONLY
        assert not packages(imports(name)) & frameworks
    assert {floor(other) for other in imports(name)} - {None} <= {*ANY_BACKEND, "errors"}


@pytest.mark.parametrize("name", within("data", "metrics"))
def test_data_and_metrics_know_nothing_of_recipes(name):
    knowing = {"cli", "recipe", "recipes", "registry", "runner", "runs", "published", "export"}
    assert not {floor(other) for other in imports(name)} & knowing


@pytest.mark.parametrize("name", [n for n in FILES if floor(n) not in ("registry", "recipes")])
def test_only_the_registry_names_where_recipes_lie(name):
    assert "recipes" not in {floor(other) for other in imports(name)}
    assert "recipes" not in packages(imports(name))
    tasks = {f"dlrecipes.recipes.{source.name}" for source in registry.sources()}
    texts = [n.value for n in ast.walk(TREES[name]) if isinstance(n, ast.Constant)]
    assert not [t for t in texts if isinstance(t, str) and any(task in t for task in tasks)]


@pytest.mark.parametrize("name", within("recipes"))
def test_recipes_import_themselves_relatively_and_never_one_another(name):
    own = ".".join(name.split(".")[:3])
    for other in imports(name):
        assert floor(other) != "recipes" or other == own or other.startswith(f"{own}.")
    for node in ast.walk(TREES[name]):
        if isinstance(node, ast.ImportFrom) and not node.level:
            assert not (node.module or "").startswith(("dlrecipes.recipes", "recipes"))


@pytest.mark.parametrize("name", [n for n in within("recipes") if n.endswith(".config")])
def test_a_recipes_settings_load_no_tensorflow(name):
    light = {"dlrecipes", "pydantic", "typing", "__future__"}
    assert packages(imports(name)) <= light
    assert {floor(other) for other in imports(name)} <= {None, "recipe", "recipes"}


@pytest.mark.parametrize(
    "name",
    ["dlrecipes", *within("cli", "recipe", "registry", "errors", "published", "runs", "quiet")],
)
def test_what_the_command_line_loads_first_is_light(name):
    heavy = {"tensorflow", "keras", "matplotlib", "numpy", "sklearn", "tensorflow_datasets"}
    loaded = imports(name, only_at_start=True)
    assert not packages(loaded) & heavy
    assert not {floor(other) for other in loaded} & {"runner", "export", "training", "models"}


def public(tree, outer=""):
    """Yields the public classes and functions of a module, and the methods of such classes."""
    for node in tree.body:
        kinds = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
        if isinstance(node, kinds) and not node.name.startswith("_"):
            yield f"{outer}{node.name}", node
            if isinstance(node, ast.ClassDef):
                yield from public(node, f"{outer}{node.name}.")


@pytest.mark.parametrize("name", FILES)
def test_everything_public_has_a_docstring(name):
    assert ast.get_docstring(TREES[name])
    assert [what for what, node in public(TREES[name]) if not ast.get_docstring(node)] == []


@pytest.mark.parametrize("name", [source.name for source in registry.sources()])
def test_a_recipes_folder_holds_what_every_recipe_holds(name):
    folder = registry.find(name).folder
    assert [file for file in registry.FILES if not (folder / file).is_file()] == []


def test_every_package_is_installed():
    import configparser

    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    declared = set(setup["options"]["packages"].split())
    found = {name for name, path in FILES.items() if path.name == "__init__.py"}
    assert declared == found
