"""Classical Chinese quatrains: prosody, a composer of regulated quatrains, and readers."""

from dlrecipes.data.quatrains.composed import quatrains
from dlrecipes.data.quatrains.lexicon import THEMES
from dlrecipes.data.quatrains.poem import Poem
from dlrecipes.data.quatrains.reading import read_quatrains

__all__ = ["THEMES", "Poem", "quatrains", "read_quatrains"]
