"""The speed page shows the benchmarks' measurements."""

import pytest

from tools import speed_page

CSV = """workload,contender,ms_a_step,first_step_s,cores,machine,versions
tagger,dlrecipes,3.00,1.5,2,processor,keras 3
tagger,keras,4.00,0.9,2,processor,keras 3
LM,dlrecipes,300.00,2.0,2,processor,keras 3
LM,torch,200.00,0.1,2,processor,keras 3
"""
COMMANDS = """recipe,stage,seconds,cpu_seconds,peak_gb,score,machine
tagger,data,1.0,2.0,1.20,f1 0.9900,"processor, 2 cores"
tagger,total,5.0,8.0,1.20,f1 0.9900,"processor, 2 cores"
network,pretrain,3.0,4.0,1.30,error 0.1000,"processor, 2 cores"
network,total,6.0,9.0,1.30,error 0.1000,"processor, 2 cores"
"""
GROWTH = """recipe,setting,size,cpu_seconds,peak_gb,machine
tagger,examples,1000,20.0,1.20,"processor, 2 cores"
tagger,examples,10000,30.0,1.50,"processor, 2 cores"
"""
CONTESTS = [name for name in speed_page.SECTIONS if name not in speed_page.TABLES]


def write(folder, names):
    for name in names:
        content = CSV.replace("tagger", f"first of {name}")
        (folder / f"{name}.csv").write_text(content, encoding="utf-8")


def test_each_time_is_followed_by_our_time_divided_by_it(tmp_path):
    write(tmp_path, CONTESTS)
    text = speed_page.page(tmp_path)
    for name in CONTESTS:
        # 3 / 4 and 300 / 200.
        assert f"| first of {name} | 3.0; first 1.5 s | 4.0 (0.75); first 0.9 s |  |" in text
    last = "| LM | 300.0; first 2.0 s |  | 200.0 (1.50); first 0.1 s |"
    assert text.count(last) == len(CONTESTS)
    assert "processor, 2 cores; keras 3." in text


def test_a_command_has_its_cpu_seconds_by_stage_and_its_peak_memory(tmp_path):
    (tmp_path / "commands.csv").write_text(COMMANDS, encoding="utf-8")
    text = speed_page.page(tmp_path)
    assert "| recipe | data | total | pretrain | elapsed | peak GB | score |" in text
    assert "| tagger | 2.0 | 8.0 |  | 5.0 | 1.20 | f1 0.9900 |" in text
    assert "| network |  | 9.0 | 4.0 | 6.0 | 1.30 | error 0.1000 |" in text
    assert "\nprocessor, 2 cores.\n" in text


def test_growth_is_relative_to_the_smallest_size(tmp_path):
    (tmp_path / "growth.csv").write_text(GROWTH, encoding="utf-8")
    text = speed_page.page(tmp_path)
    # 30 / 20 and 1.5 / 1.2.
    assert "| tagger | 1,000 examples | 20.0 | 1.20 |" in text
    assert "| tagger | 10,000 examples | 30.0 (1.50) | 1.50 (1.25) |" in text


def test_a_section_without_measurements_is_left_out(tmp_path):
    write(tmp_path, ["recurrent", "loops"])
    text = speed_page.page(tmp_path)
    titles = [line for line in text.splitlines() if line.startswith("## ")]
    assert titles == ["## Recurrent layers", "## Training loops"]
    assert "torchvision" not in text


def test_the_committed_page_matches_the_committed_measurements():
    if not speed_page.BENCHMARKS.is_dir():
        pytest.skip("not a checkout")
    assert speed_page.PAGE.read_text(encoding="utf-8") == speed_page.page(), "run: make readme"
