"""A setting that would make training slower on this machine is replaced, and a note says so."""

import keras
import pytest

from dlrecipes._utils import cpu, notes
from dlrecipes.training._engine import precision


@pytest.mark.parametrize(
    ("info", "is_slow"),
    [
        ("flags\t\t: fpu avx512f avx512_bf16 amx_tile\n", False),
        ("flags\t\t: fpu amx_bf16\n", False),
        ("Features\t: fp asimd bf16\n", False),
        ("flags\t\t: fpu avx2 avx512f\n", True),
        ("Features\t: fp asimd\n", True),
        ("model name\t: unknown\n", False),
        (None, False),
    ],
)
def test_float32_replaces_bfloat16_where_the_cpu_has_no_instructions_for_it(
    monkeypatch, tmp_path, capsys, info, is_slow
):
    file = tmp_path / "cpuinfo"
    if info is not None:
        file.write_text(info)
    monkeypatch.setattr(cpu, "CPU_INFO", file)
    monkeypatch.setattr(notes, "_PRINTED", set())
    monkeypatch.setattr(precision.tf.config, "list_physical_devices", lambda kind: [])
    for _ in range(2):
        with precision.built_in("mixed_bfloat16"):
            expected = "float32" if is_slow else "mixed_bfloat16"
            assert keras.config.dtype_policy().name == expected
    with precision.built_in("float32"):
        pass
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == is_slow
    assert all(
        "--precision mixed_bfloat16" in line and "so the run uses float32" in line for line in lines
    )
