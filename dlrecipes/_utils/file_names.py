"""Names of files and folders: from other texts, and as they are printed."""

from __future__ import annotations

import os
import re
import unicodedata
from pathlib import Path

# Longest name made of a text, in characters.
LONGEST = 60


def slug(text: str) -> str:
    """Returns a text as part of a folder's name: letters and digits of any script, and hyphens."""
    plain = re.sub(r"[\W_]+", "-", unicodedata.normalize("NFC", text).lower())
    return plain[:LONGEST].strip("-") or "data"


def shorter_path(path: Path) -> str:
    """Returns a path relative to the working directory if that is shorter, otherwise as it is."""
    try:
        relative = os.path.relpath(path)
    except ValueError:  # Another drive of Windows.
        return str(path)
    return min(relative, str(path), key=len)
