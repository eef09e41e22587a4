"""TensorFlow is imported without packages that a process does not need."""

import importlib
import json
import subprocess
import sys

import pytest

from dlrecipes._utils import quiet


def test_a_hidden_package_cannot_be_imported_until_the_block_ends(tmp_path, monkeypatch):
    (tmp_path / "spare_package.py").write_text("value = 3\n")
    monkeypatch.syspath_prepend(tmp_path)
    with quiet._not_installed("spare_package"), pytest.raises(ImportError):
        importlib.import_module("spare_package")
    assert importlib.import_module("spare_package").value == 3


def test_a_package_that_is_imported_already_stays():
    with quiet._not_installed("json"):
        assert importlib.import_module("json") is json


# Slow because it imports TensorFlow in another process.
@pytest.mark.slow
def test_the_process_that_checks_files_loads_no_package_that_it_does_not_need():
    code = (
        "import sys\n"
        "from dlrecipes._utils.quiet import OPTIONAL, load_tensorflow\n"
        "load_tensorflow(only=True)\n"
        "from dlrecipes.export import verification\n"
        "assert 'keras' in sys.modules\n"
        "assert not set(OPTIONAL) & set(sys.modules), set(OPTIONAL) & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
