"""What a newcomer installs: the wheel, in an empty environment, used from another folder."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


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


@pytest.mark.slow
def test_the_wheel_lists_and_runs_recipes_from_another_folder(tmp_path):
    call(sys.executable, "-m", "build", "--wheel", "--outdir", tmp_path / "dist", ROOT)
    (wheel,) = (tmp_path / "dist").glob("*.whl")
    call(sys.executable, "-m", "venv", tmp_path / "venv")
    binaries = tmp_path / "venv" / "bin"
    call(binaries / "python", "-m", "pip", "install", "--quiet", wheel)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    assert "slot_filling" in call(binaries / "dlrecipes", "list", cwd=elsewhere)
    call(binaries / "dlrecipes", "run", "slot_filling", cwd=elsewhere)
    version = elsewhere / "saved_models" / "slot_filling" / "1"
    assert {"saved_model.pb", "model.tflite", "model.keras"} <= {p.name for p in version.iterdir()}
    call(binaries / "dlrecipes", "copy", "slot_filling", "my_slots", cwd=elsewhere)
    call(binaries / "dlrecipes", "validate", "./my_slots", cwd=elsewhere)
    call(
        *(binaries / "dlrecipes", "run", "./my_slots", "--epochs", "1", "--examples", "200"),
        cwd=elsewhere,
    )
    assert (elsewhere / "saved_models" / "my_slots" / "1" / "model.tflite").is_file()
    # The wheel claims no top-level name but dlrecipes.
    code = "import importlib.util as u; print(u.find_spec('recipes'))"
    assert call(binaries / "python", "-c", code, cwd=elsewhere).strip() == "None"
