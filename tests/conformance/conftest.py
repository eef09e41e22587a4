"""What the conformance of layers and that of models have in common."""

import doctest
import sys

import numpy as np
import pytest
import tensorflow as tf


@pytest.fixture
def assert_every_weight_learns():
    """A function of a model and the loss of a call: each gradient is finite and not zero."""

    def check(model, loss_of_a_call):
        with tf.GradientTape() as tape:
            loss = loss_of_a_call()
        variables = [w.value for w in model.trainable_weights]
        for weight, gradient in zip(variables, tape.gradient(loss, variables), strict=True):
            assert gradient is not None, weight.name
            gradient = np.array(tf.convert_to_tensor(gradient))
            assert np.isfinite(gradient).all(), weight.name
            assert np.any(gradient != 0), weight.name

    return check


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
