"""How many processors this process may use."""

import os


def available_cpus() -> int:
    """Returns how many processors this process may use, which may be fewer than there are."""
    # Not on all systems.
    allowed = getattr(os, "sched_getaffinity", None)
    return len(allowed(0)) if allowed else os.cpu_count() or 1
