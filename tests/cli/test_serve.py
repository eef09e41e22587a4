"""`dlrecipes serve` refuses invalid options before TensorFlow is loaded."""

import pytest

NUMBERS = (
    "--batch-timeout-ms",
    "--time-limit",
    "--max-body-mb",
    "--max-output-mb",
    "--poll-seconds",
    "--body-time-limit",
    "--keep-alive",
)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--models", "none"], "--models none: there is no such folder"),
        (["--models", "file"], "file"),
        (["--label", "slot_filling"], "--label slot_filling: expected NAME:LABEL=VERSION"),
        (["--label", "a:b=c"], "expected NAME:LABEL=VERSION"),
        (["--port", "99999"], "--port"),
        (["--max-batch", "0"], "--max-batch"),
        (["--batch-timeout-ms", "-1"], "--batch-timeout-ms"),
        (["--keep-alive", "-1"], "--keep-alive"),
        (["--body-time-limit", "0"], "--body-time-limit"),
        *((["--models", ".", option, "nan"], option) for option in NUMBERS),
    ],
)
def test_invalid_options_are_reported_in_one_line(
    dlrecipes, tmp_path, monkeypatch, options, message
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    answer = dlrecipes("serve", *options)
    assert answer.code == 2
    assert message in answer.err
    assert len(answer.err.splitlines()) <= 2
