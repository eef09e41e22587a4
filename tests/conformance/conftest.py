"""What the conformance of layers and that of models have in common."""

import doctest
import sys

import keras
import pytest


@pytest.fixture
def assert_documented():
    """A function of a public object and the sections that its docstring must have."""

    def check(documented, sections):
        for section in sections:
            assert f"    {section}:\n" in documented.__doc__, section
        module = sys.modules[documented.__module__]
        finder = doctest.DocTestFinder(recurse=False)
        tests = finder.find(documented, documented.__name__, globs=dict(vars(module)))
        assert any(test.examples for test in tests)
        # On TensorFlow `test_doctests.py` runs them.
        if keras.backend.backend() != "tensorflow":
            assert sum(doctest.DocTestRunner().run(test).failed for test in tests) == 0

    return check
