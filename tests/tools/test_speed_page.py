"""The speed page shows the benchmarks' measurements."""

import pytest

from tools import speed_page

CSV = """workload,contender,ms_a_step,first_step_s,cores,machine,versions
tagger,dlrecipes,3.00,1.5,2,processor,keras 3
tagger,keras,4.00,0.9,2,processor,keras 3
LM,dlrecipes,300.00,2.0,2,processor,keras 3
LM,torch,200.00,0.1,2,processor,keras 3
"""


def test_each_time_is_followed_by_our_time_divided_by_it(tmp_path):
    (tmp_path / "times.csv").write_text(CSV, encoding="utf-8")
    (tmp_path / "loops.csv").write_text(CSV.replace("tagger", "DCGAN"), encoding="utf-8")
    files = [tmp_path / f"{name}.csv" for name in ("times", "loops", "classification")]
    text = speed_page.page(*files)
    assert "| DCGAN | 3.0; first 1.5 s | 4.0 (0.75); first 0.9 s |  |" in text
    # 3 / 4 and 300 / 200.
    assert "| tagger | 3.0; first 1.5 s | 4.0 (0.75); first 0.9 s |  |" in text
    assert "| LM | 300.0; first 2.0 s |  | 200.0 (1.50); first 0.1 s |" in text
    assert "processor, 2 cores; keras 3." in text
    assert "## Image classification" not in text
    files[2].write_text(CSV.replace("tagger", "small_resnet"), encoding="utf-8")
    text = speed_page.page(*files)
    assert "## Image classification" in text
    assert "| small_resnet | 3.0; first 1.5 s | 4.0 (0.75); first 0.9 s |  |" in text


def test_the_committed_page_matches_the_committed_measurements():
    if not speed_page.RECURRENT.is_file():
        pytest.skip("not a checkout")
    assert speed_page.PAGE.read_text(encoding="utf-8") == speed_page.page(), "run: make readme"
