"""CPUs of the machine and their features."""

import os
import re
from pathlib import Path

CPU_INFO = Path("/proc/cpuinfo")
# Features of x86 and ARM CPUs that multiply bfloat16, as Linux names them.
BFLOAT16 = {"avx512_bf16", "amx_bf16", "bf16"}


def available_cpus() -> int:
    """Returns the number of CPUs that this process may use, at most the number of the machine."""
    # Only some systems have it.
    allowed = getattr(os, "sched_getaffinity", None)
    return len(allowed(0)) if allowed else os.cpu_count() or 1


def multiplies_bfloat16() -> bool | None:
    """Returns whether the CPU has instructions for bfloat16; `None` where that is unknown."""
    try:
        text = CPU_INFO.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    features = re.search(r"(?m)^(?:flags|Features)\s*:(.*)$", text)
    return bool(BFLOAT16 & set(features[1].split())) if features else None
