"""The tree is what the design says: imports run downwards, everything public is explained."""

import ast
import configparser
from pathlib import Path

from dlrecipes.recipe import registry

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "dlrecipes"
RECIPES = ROOT / "recipes"

# Floors, highest first; a module imports its own floor and those below.
FLOORS = (
    ("cli", "api"),
    ("tuning",),
    ("runner", "demo"),
    ("recipes",),
    ("recipe", "serving"),
    ("export",),
    ("training",),
    ("metrics",),
    ("models", "losses", "data", "distribute"),
    ("layers", "figures", "samplers"),
    ("_utils", "errors"),
)
HEIGHT = {name: -depth for depth, names in enumerate(FLOORS) for name in names}
# The front door opens on every floor.
DOORS = {"dlrecipes", "dlrecipes.__main__"}
ANY_BACKEND = ("layers", "models", "losses")
# Fast paths that only TensorFlow has; loaded only there, and never required.
TENSORFLOW_ONLY = {
    "dlrecipes.layers._cpu_cells",
    "dlrecipes.layers._cpu_recurrence",
    "dlrecipes.layers._fused_batch_norm",
    "dlrecipes.layers._greedy_suppression",
    "dlrecipes.layers._step_order",
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
    names = set()
    for node in at_start(TREES[name]) if only_at_start else ast.walk(TREES[name]):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) + 1 - node.level]
            base = ".".join([*above, *([node.module] if node.module else [])])
            base = base if node.level else node.module
            names |= {base, *(f"{base}.{alias.name}" for alias in node.names)}
    return names


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
    """Returns the part of `dlrecipes` that a full name belongs to."""
    parts = name.split(".")
    return parts[1] if parts[0] == "dlrecipes" and len(parts) > 1 else None


def within(*floors):
    return [name for name in FILES if floor(name) in floors]


def packages(names):
    return {name.split(".")[0] for name in names}


def violations(names, violated):
    """Returns what `violated` returns for each module where it returns anything."""
    return {name: problem for name in names if (problem := violated(name))}


def test_the_reader_of_imports_sees_relative_and_inner_ones():
    names = imports("dlrecipes.recipes.slot_filling.recipe")
    assert "dlrecipes.recipes.slot_filling.config.Config" in names
    assert "dlrecipes.export.publish" in imports("dlrecipes.runner.run")
    assert "dlrecipes.runner.launch" in imports("dlrecipes.cli.run")
    assert "dlrecipes.runner.launch" not in imports("dlrecipes.cli.run", only_at_start=True)


def test_every_module_stands_on_a_floor():
    assert [name for name in FILES if floor(name) not in HEIGHT and name not in DOORS] == []


def test_imports_run_downwards():
    def upward(name):
        used = {floor(other) for other in imports(name)} & set(HEIGHT)
        return {other for other in used if HEIGHT[other] > HEIGHT[floor(name)]}

    assert violations([name for name in FILES if name not in DOORS], upward) == {}


def test_no_module_imports_in_a_circle():
    """Circles within a package hide behind imports inside functions: those count as well."""
    edges = {
        name: {other for other in imports(name) if other in FILES and other != name}
        for name in FILES
        if name not in DOORS and FILES[name].name != "__init__.py"
    }

    def reaches(start):
        seen, queue = set(), list(edges[start])
        while queue:
            name = queue.pop()
            if name not in seen:
                seen.add(name)
                queue += edges.get(name, ())
        return start in seen

    assert [name for name in edges if reaches(name)] == []


def test_nothing_imports_the_tools():
    assert violations(FILES, lambda name: {"tools"} & packages(imports(name))) == {}


def test_layers_models_and_losses_run_on_every_backend():
    def tied(name):
        if name in TENSORFLOW_ONLY:
            return {floor(other) for other in imports(name)} - {None, *ANY_BACKEND, "errors"}
        at_load = imports(name, only_at_start=True) & TENSORFLOW_ONLY
        frameworks = packages(imports(name)) & {"tensorflow", "torch", "jax"}
        others = {floor(other) for other in imports(name)} - {None, *ANY_BACKEND, "errors"}
        return at_load | frameworks | others

    assert violations(within(*ANY_BACKEND), tied) == {}


def test_only_the_registry_names_where_recipes_lie():
    tasks = {f"dlrecipes.recipes.{source.name}" for source in registry.sources()}

    def knows(name):
        imported = {"recipes"} & (
            {floor(other) for other in imports(name)} | packages(imports(name))
        )
        texts = [n.value for n in ast.walk(TREES[name]) if isinstance(n, ast.Constant)]
        return imported or [t for t in texts if isinstance(t, str) and any(x in t for x in tasks)]

    names = [n for n in FILES if floor(n) != "recipes" and n != "dlrecipes.recipe.registry"]
    assert violations(names, knows) == {}


def test_recipes_import_themselves_relatively_and_never_one_another():
    def foreign(name):
        own = ".".join(name.split(".")[:3])
        others = {
            other
            for other in imports(name)
            if floor(other) == "recipes" and other != own and not other.startswith(f"{own}.")
        }
        absolute = {
            node.module
            for node in ast.walk(TREES[name])
            if isinstance(node, ast.ImportFrom)
            and not node.level
            and (node.module or "").startswith(("dlrecipes.recipes", "recipes"))
        }
        return others | absolute

    assert violations(within("recipes"), foreign) == {}


def test_a_recipes_settings_load_no_tensorflow():
    def heavy(name):
        light = {"dlrecipes", "pydantic", "typing", "__future__"}
        own = {None, "errors", "recipe", "recipes"}
        floors = {floor(other) for other in imports(name)} - own
        return (packages(imports(name)) - light) | floors

    assert violations([n for n in within("recipes") if n.endswith(".config")], heavy) == {}


def loaded_with(name):
    """Returns all that is imported when a module of ours is, through other modules of ours."""
    seen, queue, everything = set(), [name], set()
    while queue:
        module = queue.pop()
        if module in seen or module not in FILES:
            continue
        seen.add(module)
        names = imports(module, only_at_start=True)
        everything |= names
        parents = {other.rpartition(".")[0] for other in names | {module}}
        queue += names | parents
    return everything


def test_what_the_command_line_loads_first_is_light():
    def heavy(name):
        packages_ = {"tensorflow", "keras", "matplotlib", "numpy", "sklearn", "tensorflow_datasets"}
        return packages(loaded_with(name)) & packages_

    light = ["dlrecipes", "dlrecipes.recipe", "dlrecipes.export", "dlrecipes.runner"]
    light += ["dlrecipes.recipe.registry", "dlrecipes.recipe.config", "dlrecipes.export.version"]
    assert violations([*light, *within("cli")], heavy) == {}


def public(tree, outer=""):
    """Yields the public classes and functions of a module, and the methods of such classes."""
    for node in tree.body:
        kinds = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
        if isinstance(node, kinds) and not node.name.startswith("_"):
            yield f"{outer}{node.name}", node
            if isinstance(node, ast.ClassDef):
                yield from public(node, f"{outer}{node.name}.")


def test_everything_public_has_a_docstring():
    def undocumented(name):
        missing = [] if ast.get_docstring(TREES[name]) else ["the module"]
        return missing + [
            what
            for what, node in public(TREES[name])
            if not ast.get_docstring(node) and not overrides(what)
        ]

    assert violations(FILES, undocumented) == {}


def overrides(what):
    """Returns whether a method is documented by the class that it comes from: Keras'."""
    return what.rpartition(".")[2] in {
        "build",
        "call",
        "compute_mask",
        "compute_output_shape",
        "compute_output_spec",
        "get_config",
        "from_config",
        "train_step",
        "test_step",
        "update_state",
        "result",
        "on_train_begin",
        "on_train_end",
        "on_epoch_begin",
        "on_epoch_end",
        "on_train_batch_end",
        "set_model",
    }


def test_a_recipes_folder_holds_what_every_recipe_holds():
    folders = [source.folder for source in registry.sources()]
    assert [
        folder / file
        for folder in folders
        for file in registry.FILES
        if not (folder / file).is_file()
    ] == []


def test_every_package_is_installed():
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    declared = set(setup["options"]["packages"].split())
    assert declared == {name for name, path in FILES.items() if path.name == "__init__.py"}
