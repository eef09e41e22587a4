"""Generates the tables of the recipes' READMEs, the library page and the speed page.

Run as `python -m tools.readme [FOLDER ...]` (`make readme`). Without arguments it writes
everything; with recipe folders, only their READMEs.
"""

from __future__ import annotations

import sys
from pathlib import Path

from dlrecipes._utils.quiet import load_tensorflow
from dlrecipes.errors import DataError
from dlrecipes.recipe.readme import updated
from dlrecipes.recipe.registry import sources
from tools import library_page, speed_page


def main() -> None:
    """Writes the READMEs named on the command line, or all READMEs and both pages."""
    folders = [Path(name) for name in sys.argv[1:]]
    try:
        for folder in folders or [source.folder for source in sources()]:
            (folder / "README.md").write_text(updated(folder), encoding="utf-8")
        if not folders:
            load_tensorflow()
            library_page.PAGE.write_text(library_page.page(), encoding="utf-8")
            speed_page.PAGE.write_text(speed_page.page(), encoding="utf-8")
    except DataError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
