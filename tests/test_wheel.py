"""The wheel, installed with only its declared dependencies, works from another folder."""

import importlib.metadata
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import dlrecipes

# Imports every module; packages of the extras, which a plain installation lacks, may be missing.
IMPORT_ALL = """
import importlib, pkgutil, dlrecipes
extras = {"gradio", "grpc", "onnx", "onnxruntime", "pillow_heif", "tensorflow_serving", "tf2onnx"}
for module in pkgutil.walk_packages(dlrecipes.__path__, "dlrecipes."):
    if module.name != "dlrecipes.__main__":
        try:
            importlib.import_module(module.name)
        except ModuleNotFoundError as error:
            if error.name.partition(".")[0] not in extras:
                raise
"""
ROOT = Path(__file__).resolve().parents[1]
SOURCES = ("dlrecipes", "recipes", "setup.cfg", "pyproject.toml", "README.md", "LICENSE")
SMALL = ("--epochs", "1", "--examples", "200")


def call(*command, **options):
    environment = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "VIRTUAL_ENV")}
    done = subprocess.run(
        [str(word) for word in command],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
        **options,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def build_wheel(folder):
    """Builds from a copy, because setuptools would also pack what an earlier build left."""
    source = folder / "source"
    source.mkdir()
    for name in SOURCES:
        path = ROOT / name
        if path.is_dir():
            shutil.copytree(path, source / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(path, source)
    call(sys.executable, "-m", "build", "--wheel", "--outdir", folder, source)
    (wheel,) = folder.glob("*.whl")
    return wheel


def dependencies(distribution, extra=None):
    """Returns the distributions that one declares, and those that they declare, and so on.

    With an extra, those that it adds take the place of the distribution's own.
    """
    closure, waiting = {}, [(distribution, frozenset({extra} if extra else ()))]
    while waiting:
        parent, extras = waiting.pop()
        for line in parent.requires or ():
            requirement = Requirement(line)
            marker, name = requirement.marker, canonicalize_name(requirement.name)
            if marker and not any(marker.evaluate({"extra": e}) for e in extras or {""}):
                continue
            if extra and parent is distribution and not (marker and "extra" in str(marker)):
                continue
            known = closure.get(name, (None, frozenset()))[1]
            new = frozenset(requirement.extras) | known
            if name in closure and new == known:
                continue
            closure[name] = (importlib.metadata.distribution(name), new)
            waiting.append(closure[name])
    return [dependency for dependency, _ in closure.values()]


def link_files(distribution, site_packages):
    """Links the installed files of a distribution into another environment."""
    for file in distribution.files:
        target = site_packages / file
        if ".." in file.parts or target.exists():
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        target.symlink_to(distribution.locate_file(file))


def install(wheel, folder, extra=None):
    """Makes an environment with the wheel and its dependencies, or those of an extra alone.

    The dependencies are those of this environment, which saves downloading them.
    """
    call(sys.executable, "-m", "venv", "--without-pip", folder)
    python = folder / "bin" / "python"
    pip = (sys.executable, "-m", "pip", "--quiet", "--python", python)
    call(*pip, "install", "--no-deps", "--no-index", wheel)
    (site_packages,) = folder.glob("lib/*/site-packages")
    (metadata,) = site_packages.glob("dlrecipes-*.dist-info")
    wheel_metadata = importlib.metadata.PathDistribution(metadata)
    for distribution in dependencies(wheel_metadata, extra):
        link_files(distribution, site_packages)
    return pip


@pytest.fixture
def environment(tmp_path):
    """Returns the `bin` folder of an environment with the wheel and its dependencies.

    Packages that the wheel does not declare, such as pytest, are not there.
    """
    folder = tmp_path / "venv"
    pip = install(build_wheel(tmp_path), folder)
    python = folder / "bin" / "python"
    call(*pip, "check")
    missing = "import importlib.util as u; print(u.find_spec('pytest'), u.find_spec('recipes'))"
    # The wheel has no top-level module other than dlrecipes.
    assert call(python, "-c", missing, cwd=tmp_path).split() == ["None", "None"]
    return folder / "bin"


@pytest.mark.slow
def test_wheel_lists_runs_and_copies_recipes_in_another_folder(environment, tmp_path):
    folder = tmp_path / "elsewhere"
    folder.mkdir()

    def dlrecipes(*arguments):
        return call(environment / "dlrecipes", *arguments, cwd=folder)

    recipes = {path.parent.name for path in (ROOT / "recipes").glob("*/recipe.py")}
    assert recipes
    listed = dlrecipes("list")
    assert all(recipe in listed for recipe in recipes)
    assert call(environment / "python", "-m", "dlrecipes", "list", cwd=folder) == listed
    # No module needs a file that is only in the repository.
    call(environment / "python", "-c", IMPORT_ALL, cwd=folder)
    (installed,) = environment.parent.glob("lib/*/site-packages/dlrecipes/recipes")
    for recipe in sorted(recipes):
        dlrecipes("info", recipe)
        files = {path.name for path in (ROOT / "recipes" / recipe).iterdir() if path.is_file()}
        assert files <= {path.name for path in (installed / recipe).iterdir()}
    dlrecipes("run", "slot_filling", *SMALL)
    version = folder / "saved_models" / "slot_filling" / "1"
    assert {"saved_model.pb", "model.tflite", "model.keras"} <= {p.name for p in version.iterdir()}
    dlrecipes("copy", "slot_filling", "my_slots")
    dlrecipes("validate", "./my_slots")
    dlrecipes("run", "./my_slots", *SMALL)
    assert (folder / "saved_models" / "my_slots" / "1" / "model.tflite").is_file()


PREDICT = """
import json, sys, dlrecipes
folder, inputs = sys.argv[1], sys.argv[2:]
print(json.dumps(dlrecipes.load(folder).predict(inputs)))
assert not {"tensorflow", "keras"} & set(sys.modules)
"""


@pytest.mark.slow
def test_a_device_with_the_extra_lite_predicts_what_the_full_installation_does(
    published_slots, tmp_path
):
    device = tmp_path / "device"
    install(build_wheel(tmp_path), device, extra="lite")
    (site_packages,) = device.glob("lib/*/site-packages")
    absent = ("tensorflow", "keras", "matplotlib", "sklearn", "filelock")
    assert not [name for name in absent if (site_packages / name).exists()]
    version = published_slots / "slot_filling" / "1"
    sentences = ["leave Beijing on November 2nd", "去北京，明天", "to St. John at 7 p.m., please."]
    python = device / "bin" / "python"
    # Not in the folder of the sources, which Python would import.
    own = json.loads(call(python, "-c", PREDICT, version, *sentences, cwd=tmp_path))
    for saved_model in (False, True):
        expected = dlrecipes.load(version, saved_model=saved_model).predict(sentences)
        for mine, theirs in zip(own, expected, strict=True):
            assert (mine["tokens"], mine["tags"], mine["intent"]) == (
                theirs["tokens"],
                theirs["tags"],
                theirs["intent"],
            )
            assert mine["intent_probability"] == pytest.approx(
                theirs["intent_probability"], abs=1e-4
            )
    listed = call(
        device / "bin" / "dlrecipes",
        "predict",
        "slot_filling",
        *sentences,
        "--models-dir",
        published_slots,
    )
    assert "Beijing" in listed
    refused = subprocess.run(
        [device / "bin" / "dlrecipes", "run", "slot_filling"],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert refused.returncode == 1
    assert refused.stderr.startswith("Error: ")
    assert "is not installed" in refused.stderr
