"""Reading text files: UTF-8, gzipped or not, with errors that name the file and the line."""

from __future__ import annotations

import gzip
import os
import zlib
from pathlib import Path

from dlrecipes.errors import DataError, nearest, reason

_GZIP = b"\x1f\x8b"


def read_text(path: str | os.PathLike, hint: str = "Give a text file.") -> str:
    """Returns the text of a file in UTF-8, which may be gzipped under any name.

    A byte order mark is removed. Line ends stay as they are.

    Args:
        path: File to read.
        hint: Advice for a path that is missing or a folder. Defaults to `"Give a text file."`.

    Raises:
        DataError: If the file is missing, cannot be read, is a damaged gzip file, or is not UTF-8;
            the message for the last names the line.

    Example:

    >>> import gzip, pathlib, tempfile
    >>> from dlrecipes.data.text_files import read_text
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "poem.txt.gz")
    ...     _ = path.write_bytes(gzip.compress("明月".encode()))
    ...     read_text(path)
    '明月'
    """
    path = Path(path)
    try:
        if path.is_dir():
            raise DataError(f"{path}: expected a file, got a folder.", hint)
        data = path.read_bytes()
        if data.startswith(_GZIP):
            data = gzip.decompress(data)
        return data.decode("utf-8-sig")
    except FileNotFoundError:
        raise missing_file(path, hint) from None
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        message = f"{path}:{line}: byte {error.object[error.start]:#04x} is not UTF-8."
        raise DataError(message, "Save the file as UTF-8.") from None
    except (gzip.BadGzipFile, EOFError, zlib.error):
        message = f"{path} is a damaged gzip file."
        raise DataError(message, "Download or copy it again.") from None
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read: {reason(error)}.") from None


def missing_file(path: Path, hint: str) -> DataError:
    """Returns the error for a path that does not exist, with the most similar name next to it.

    Args:
        path: Path that does not exist.
        hint: Advice if no name in the same folder is similar.

    Example:

    >>> import pathlib
    >>> from dlrecipes.data.text_files import missing_file
    >>> str(missing_file(pathlib.Path("no/poems.txt"), "Give a text file."))
    'no/poems.txt does not exist. Give a text file.'
    """
    similar = ""
    if path.parent.is_dir():
        similar = nearest(path.name, sorted(entry.name for entry in path.parent.iterdir()))
    return DataError(f"{path} does not exist.", similar or hint)
