"""Images that predictions write: one per input, next to the files that are there."""

from __future__ import annotations

from pathlib import Path

from dlrecipes._utils.files import write_new
from dlrecipes.errors import UsageError, reason


def check_folder(option: str, folder: str) -> None:
    """Refuses a folder that cannot be made, before anything is computed.

    Args:
        option: The option that names it, such as `"--explain"`.
        folder: The folder as typed; `""` for none. Its parent must exist.

    Raises:
        UsageError: If it is a file, or its parent does not exist.
    """
    path = Path(folder).expanduser()
    if not folder or path.is_dir():
        return
    if path.exists():
        raise UsageError(f"{option} {folder}: expected a folder, got a file.")
    if not path.parent.is_dir():
        raise UsageError(f"{option} {folder}: there is no folder {path.parent}.")


def write_image(folder: str, name: str, kind: str, content: bytes) -> str:
    """Writes an image that belongs to an input; replaces no file.

    Args:
        folder: Folder, which is made if it is needed.
        name: Path of the input.
        kind: Contents of the image, such as `"explained"`: `cat.jpg` becomes `cat.explained.png`.
        content: Bytes of a PNG file.

    Returns:
        The path of the file.

    Raises:
        UsageError: If it cannot be written.
    """
    path = Path(folder).expanduser() / f"{Path(name).stem}.{kind}.png"
    try:
        path.parent.mkdir(exist_ok=True)
        return str(write_new(path, content))
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {reason(error)}.") from None
