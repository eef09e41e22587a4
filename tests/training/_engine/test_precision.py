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


X86 = "flags\t\t: fpu avx512f avx512_bf16\n"


@pytest.mark.parametrize(
    ("info", "machine", "onednn", "gpus", "is_mixed"),
    [
        (X86, "x86_64", None, 0, True),
        (X86, "x86_64", "1", 0, True),
        # TensorFlow computes without the instructions.
        (X86, "x86_64", "0", 0, False),
        (X86, "x86_64", "False", 0, False),
        ("flags\t\t: fpu avx2 avx512f\n", "x86_64", None, 0, False),
        ("Features\t: fp asimd bf16\n", "aarch64", None, 0, False),
        ("model name\t: unknown\n", "x86_64", None, 0, False),
        (X86, "x86_64", None, 1, False),
    ],
)
def test_auto_is_bfloat16_where_instructions_for_it_are_used(
    monkeypatch, tmp_path, capsys, info, machine, onednn, gpus, is_mixed
):
    file = tmp_path / "cpuinfo"
    file.write_text(info)
    monkeypatch.setattr(cpu, "CPU_INFO", file)
    monkeypatch.setattr(notes, "_PRINTED", set())
    monkeypatch.setattr(precision.platform, "machine", lambda: machine)
    monkeypatch.setattr(precision.tf.config, "list_physical_devices", lambda kind: [kind] * gpus)
    if onednn is None:
        monkeypatch.delenv("TF_ENABLE_ONEDNN_OPTS", raising=False)
    else:
        monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", onednn)
    for _ in range(2):
        with precision.built_in("auto"):
            layer = keras.layers.Dense(2)
    assert precision.is_mixed(keras.Sequential([layer])) == is_mixed
    # A note names the choice once.
    assert capsys.readouterr().err.count("trains in mixed_bfloat16") == is_mixed
    with precision.for_inference(), precision.built_in("auto"):
        assert keras.config.dtype_policy().name == "float32"


def test_for_inference_is_always_float32(monkeypatch):
    monkeypatch.setattr(precision, "_is_slow", lambda: False)
    with precision.for_inference(), precision.built_in("mixed_bfloat16"):
        assert keras.config.dtype_policy().name == "float32"
    with precision.built_in("mixed_bfloat16"):
        assert keras.config.dtype_policy().name == "mixed_bfloat16"
