"""Every example in a docstring runs, begins with its imports, and prints the output it shows."""

import doctest
import importlib
import pkgutil
from collections import defaultdict

import pytest

import dlrecipes

# The public objects of these packages all have examples.
LIBRARY = ("data", "layers", "losses", "metrics", "models", "training")


def modules_by_package():
    """Returns the names of all modules, by the package of `dlrecipes` that holds them."""
    names = defaultdict(list)
    for module in pkgutil.walk_packages(dlrecipes.__path__, "dlrecipes."):
        # Importing `dlrecipes.__main__` runs the command line.
        if module.name != "dlrecipes.__main__":
            names[module.name.split(".")[1]].append(module.name)
    return names


MODULES = modules_by_package()


@pytest.mark.parametrize("package", MODULES)
def test_examples_run(package):
    finder = doctest.DocTestFinder(exclude_empty=True)
    runner = doctest.DocTestRunner(verbose=False, optionflags=doctest.ELLIPSIS)
    report = []
    for name in MODULES[package]:
        # An empty namespace, as a reader has who pastes the example.
        for test in finder.find(importlib.import_module(name), name, globs={}):
            runner.run(test, out=report.append)
    assert not runner.failures, "".join(report)
    assert runner.tries or package not in LIBRARY


def test_library_packages_exist():
    assert set(LIBRARY) <= set(MODULES)
