"""With another Keras backend the library does not load TensorFlow, which takes seconds."""

import json
import os
import subprocess
import sys

import pytest

LOADED = """
import importlib, json, sys
for name in sys.argv[1:]:
    importlib.import_module(name)
print(json.dumps(sorted({"tensorflow", "torch"} & set(sys.modules))))
"""


def loaded(*names):
    """Returns the frameworks that a new process with JAX has loaded after importing modules."""
    environment = {**os.environ, "KERAS_BACKEND": "jax"}
    command = [sys.executable, "-c", LOADED, *names]
    process = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return json.loads(process.stdout.splitlines()[-1])


def test_with_jax_the_library_loads_no_framework_beyond_those_of_keras():
    pytest.importorskip("jax")
    packages = ("dlrecipes.layers", "dlrecipes.losses", "dlrecipes.models")
    assert loaded("keras", *packages) == loaded("keras")
