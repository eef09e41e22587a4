"""What the conformance of layers and that of models have in common."""

import doctest
import sys

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
        results = [doctest.DocTestRunner().run(test) for test in tests]
        assert sum(result.attempted for result in results) > 0
        assert sum(result.failed for result in results) == 0

    return check
