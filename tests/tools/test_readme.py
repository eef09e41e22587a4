"""The command behind `make readme`."""

from dlrecipes.recipe.readme import updated
from tools import readme


def test_the_command_updates_only_the_folders_on_its_command_line(own_recipe, monkeypatch):
    folder = own_recipe()
    (folder / "README.md").write_text(
        "<!-- settings: generated -->\n<!-- end -->\n<!-- results: generated -->\n<!-- end -->\n",
        encoding="utf-8",
    )
    (folder / "results.csv").write_text(
        "data,configuration,seed,metric,value,minutes,machine,version,command\n"
        "builtin,default,0,accuracy,0.5,2,two cores,0.2.0,dlrecipes run mine\n"
    )
    expected = updated(folder)
    assert "| 0.5000 |" in expected
    monkeypatch.setattr("sys.argv", ["readme", str(folder)])
    readme.main()
    assert (folder / "README.md").read_text(encoding="utf-8") == expected
