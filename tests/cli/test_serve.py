"""`dlrecipes serve`: what is refused before TensorFlow is loaded."""

import pytest


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--models", "none"], "--models none: there is no such folder"),
        (["--models", "file"], "file"),
        (["--label", "slot_filling"], "--label slot_filling: this is not NAME:LABEL=VERSION"),
        (["--label", "a:b=c"], "this is not NAME:LABEL=VERSION"),
        (["--port", "99999"], "--port"),
        (["--max-batch", "0"], "--max-batch"),
        (["--batch-timeout-ms", "-1"], "--batch-timeout-ms"),
    ],
)
def test_wrong_options_are_one_line(dlrecipes, tmp_path, monkeypatch, options, said):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    answer = dlrecipes("serve", *options)
    assert answer.code == 2
    assert said in answer.err
    assert len(answer.err.splitlines()) <= 2
