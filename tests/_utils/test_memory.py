"""Freed memory is returned to the system."""

import platform
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc alone is asked")

# In a process of its own, whose heap has no free memory yet.
CODE = """
from pathlib import Path
from dlrecipes._utils.memory import large_blocks_released, release_memory

def resident():
    line = next(x for x in Path("/proc/self/status").read_text().splitlines() if "VmRSS" in x)
    return int(line.split()[1]) / 1024

def freed(size):
    # 100 MB, of which the last block is kept and prevents that the heap shrinks.
    blocks = [b"x" * size for _ in range(100 * 2**20 // size)]
    before = resident()
    del blocks[:-1]
    yield before - resident()
    release_memory()
    yield before - resident()
"""


def freed(code: str) -> list[float]:
    """Returns the megabytes that the code prints."""
    command = [sys.executable, "-c", CODE + code]
    return [float(x) for x in subprocess.check_output(command, text=True).split()]


def test_memory_that_was_freed_below_a_used_block_is_returned():
    at_once, released = freed("print(*freed(8_000))")
    assert at_once < 20
    assert released > 80


def test_large_blocks_are_returned_when_they_are_freed():
    (at_once,) = freed("with large_blocks_released(): print(next(freed(2**21)))")
    assert at_once > 80
