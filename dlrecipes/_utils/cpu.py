"""Number of CPUs that this process may use."""

import os


def available_cpus() -> int:
    """Returns the number of CPUs that this process may use, at most the number of the machine."""
    # Only some systems have it.
    allowed = getattr(os, "sched_getaffinity", None)
    return len(allowed(0)) if allowed else os.cpu_count() or 1
