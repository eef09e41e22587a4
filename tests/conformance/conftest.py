"""The order of the conformance tests, and the check of docstrings that they share."""

import doctest
from pathlib import Path

import keras
import pytest

HERE = Path(__file__).resolve().parent


def pytest_collection_modifyitems(items):
    """Runs the tests of a case in a row: they share a model, and only one is kept at a time."""
    places = [place for place, item in enumerate(items) if item.path.parent == HERE]
    first = {}
    for place in places:
        item = items[place]
        name = item.callspec.params.get("name") if hasattr(item, "callspec") else None
        first.setdefault(item.path, place)
        first.setdefault((item.path, name), place)
        item.case_order = (first[item.path], first[item.path, name])
    ordered = sorted((items[place] for place in places), key=lambda item: item.case_order)
    for place, item in zip(places, ordered, strict=True):
        items[place] = item


@pytest.fixture
def assert_documented():
    """Returns a function that checks the sections of a public object's docstring."""

    def check(documented, sections):
        for section in sections:
            assert f"    {section}:\n" in documented.__doc__, section
        tests = doctest.DocTestFinder(recurse=False).find(documented, globs={})
        assert any(test.examples for test in tests)
        # On TensorFlow `test_doctests.py` runs them.
        if keras.backend.backend() != "tensorflow":
            assert sum(doctest.DocTestRunner().run(test).failed for test in tests) == 0

    return check
