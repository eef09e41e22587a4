"""The documentation site has a page for everything, and docstrings become valid markup."""

import ast
import doctest
import importlib
import pkgutil
import re
from pathlib import Path

import pytest

import tools
from dlrecipes.recipe import registry
from tools import site
from tools.library_page import PAGE

DOCS = Path(__file__).resolve().parents[2] / "docs"


@pytest.fixture(scope="module")
def api(tmp_path_factory):
    """The text of each API page by package."""
    folder = tmp_path_factory.mktemp("api")
    site.write_api_pages(folder)
    return {path.stem: path.read_text(encoding="utf-8") for path in folder.glob("*.rst")}


def test_every_recipe_has_a_page_and_a_row_of_the_gallery():
    gallery = (DOCS / "gallery.md").read_text(encoding="utf-8")
    for source in registry.sources():
        page = (DOCS / "gallery" / f"{source.name}.md").read_text(encoding="utf-8")
        assert f"include}} ../../recipes/{source.name}/README.md" in page
        assert f"](gallery/{source.name}.md)" in gallery
        assert f"\ngallery/{source.name}\n" in gallery
    assert len(list((DOCS / "gallery").iterdir())) == len(registry.sources())


def test_every_public_name_is_on_its_package_page(api):
    for package in site.API:
        page = package.rpartition(".")[2]
        assert f"\n   {page}\n" in api["index"]
        for name in importlib.import_module(package).__all__:
            documented = api[page].count(f"~{package}.{name}\n")
            linked = api[page].count(f":py:obj:`dlrecipes.export.{name}`")
            assert documented + linked == 1, (package, name)


@pytest.mark.parametrize(
    "docstring, expected",
    [
        ("A `Layer`.", "A ``Layer``."),
        ("Of `a\nb`, and `c`", "Of ``a\nb``, and ``c``"),
        ("Several `Layer`s.", "Several ``Layer``\\ s."),
        (">>> '`'\n'`'\n\n`x`", ">>> '`'\n'`'\n\n``x``"),
        ("Already ``code``.", "Already ``code``."),
        ("The score is\n\n    a + b\n\nof all.", "The score is\n\n::\n\n    a + b\n\nof all."),
        ("Args:\n    x: A number.", "Args:\n    x: A number."),
        ("Example:\n\n>>> 1\n1", ".. rubric:: Example\n\n>>> 1\n1"),
    ],
)
def test_docstrings_become_restructured_text(docstring, expected):
    assert "\n".join(site.to_restructured_text(docstring.split("\n"))) == expected


def test_the_library_page_links_to_the_api_pages_and_to_no_source():
    page = site.link_to_api(PAGE.read_text(encoding="utf-8"))
    assert "](#dlrecipes.layers.LinearChainCRF)" in page
    assert "](#dlrecipes.training.Checkpoints)" in page
    assert ".py)" not in page


@pytest.mark.parametrize("name", [module.name for module in pkgutil.iter_modules(tools.__path__)])
def test_examples_of_the_tools_run(name):
    assert doctest.testmod(importlib.import_module(f"tools.{name}"), globs={}).failed == 0


def test_python_examples_in_markdown_import_names_that_exist():
    pages = [*DOCS.glob("*.md"), DOCS.parent / "README.md", DOCS.parent / "CONTRIBUTING.md"]
    checked = 0
    for page in pages:
        text = page.read_text(encoding="utf-8")
        for block in re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
            for node in ast.walk(ast.parse(block)):
                if isinstance(node, ast.ImportFrom) and not node.level:
                    module = importlib.import_module(node.module)
                    for alias in node.names:
                        assert hasattr(module, alias.name), (page.name, ast.unparse(node))
                        checked += 1
    assert checked > 20
