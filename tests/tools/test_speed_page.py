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
    workloads = {name: f"first of {name}" for name in speed_page.TABLES}
    for name, workload in workloads.items():
        content = CSV.replace("tagger", workload)
        (tmp_path / f"{name}.csv").write_text(content, encoding="utf-8")
    text = speed_page.page(tmp_path)
    for workload in workloads.values():
        # 3 / 4 and 300 / 200.
        assert f"| {workload} | 3.0; first 1.5 s | 4.0 (0.75); first 0.9 s |  |" in text
    assert text.count("| LM | 300.0; first 2.0 s |  | 200.0 (1.50); first 0.1 s |") == 4
    assert "processor, 2 cores; keras 3." in text


def test_the_committed_page_matches_the_committed_measurements():
    if not speed_page.BENCHMARKS.is_dir():
        pytest.skip("not a checkout")
    assert speed_page.PAGE.read_text(encoding="utf-8") == speed_page.page(), "run: make readme"
