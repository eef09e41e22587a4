"""Files of tagged sentences for the tests of their readers."""

import pytest

from dlrecipes.data.tagged_text import read_tagged
from dlrecipes.errors import DataError


def write(folder, files):
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder


def sequences(words, tags, labels=None, split="train"):
    files = {f"{split}/seq.in": words, f"{split}/seq.out": tags}
    return files if labels is None else {**files, f"{split}/label": labels}


def refusal(path, **options):
    with pytest.raises(DataError) as caught:
        read_tagged(path, **options)
    message = str(caught.value)
    assert "\n" not in message
    return message
