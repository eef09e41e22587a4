import gzip
import json
from pathlib import Path

import pytest

from dlrecipes.data.quatrains import read_quatrains
from dlrecipes.errors import DataError

REAL = Path(__file__).resolve().parents[3].parent / "shared/data/quatrains"
TOWER = ("白日依山尽", "黄河入海流", "欲穷千里目", "更上一层楼")
BRIDGE = ("月落乌啼霜满天", "江枫渔火对愁眠", "姑苏城外寒山寺", "夜半钟声到客船")


def write(folder, content, name="poems.txt"):
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def record(lines=TOWER, **others):
    return json.dumps({"content": "|".join(lines), **others}, ensure_ascii=False)


def refusal(path):
    with pytest.raises(DataError) as caught:
        read_quatrains(path)
    message = str(caught.value)
    assert "\n" not in message
    assert str(path) in message
    return message


@pytest.mark.parametrize("name", ["poems.jsonl", "poems.json", "poems.txt", "poems"])
@pytest.mark.parametrize("zipped", [False, True])
def test_json_lines_are_detected_under_any_file_name(tmp_path, name, zipped):
    text = "\n".join([record(title="登鹳雀楼", author="王之涣", dynasty="Tang"), record(BRIDGE)])
    data = gzip.compress(text.encode()) if zipped else text
    poems, skipped = read_quatrains(write(tmp_path, data, name))
    assert [poem.lines for poem in poems] == [TOWER, BRIDGE]
    assert (poems[0].title, poems[0].author, poems[0].theme) == ("登鹳雀楼", "王之涣", None)
    assert poems[1].title is None
    assert skipped == {}


def test_optional_fields_without_text_are_ignored(tmp_path):
    path = write(tmp_path, record(title=None, author=["王之涣"], theme=""), "a.jsonl")
    (poem,), _ = read_quatrains(path)
    assert (poem.title, poem.author, poem.theme) == (None, None, None)


@pytest.mark.parametrize(
    "text",
    [
        "{}|{}|{}|{}",
        "{}/{}/{}/{}",
        "{} {} {} {}",
        "{}\u3000{}\u3000{}\u3000{}",
        "{}\t{}\t{}\t{}",
        "{}，{}。{}，{}。",
        "{}，{}；{}？{}！",
        "{}、{}：{} , {}.",
        "  {}，  {}。 | {}，{}。  ",
        "\ufeff{}|{}|{}|{}\r\n\r\n",
    ],
)
def test_bars_slashes_spaces_and_punctuation_separate_lines(tmp_path, text):
    (poem,), skipped = read_quatrains(write(tmp_path, text.format(*TOWER)))
    assert poem.lines == TOWER
    assert skipped == {}


def test_json_content_may_contain_punctuation(tmp_path):
    path = write(tmp_path, record([f"{line}，" for line in TOWER]), "a.jsonl")
    assert read_quatrains(path)[0][0].lines == TOWER


def test_other_poems_are_skipped_and_counted(tmp_path):
    texts = ["|".join(TOWER), "", "关关雎鸠|在河之洲|窈窕淑女|君子好逑", "|".join(TOWER * 2)]
    texts += ["|".join((*TOWER[:3], "更上□层楼")), "|".join((*TOWER[:3], BRIDGE[0])), "abc"]
    poems, skipped = read_quatrains(write(tmp_path, "\n".join(texts)))
    assert [poem.lines for poem in poems] == [TOWER]
    assert skipped == {
        "do not have 5 or 7 characters in each line": 2,
        "do not have 4 lines": 2,
        "contain other than Chinese characters": 1,
    }


def test_characters_beyond_the_basic_plane_count_as_one_character(tmp_path):
    lines = ("𠮷日依山尽", *TOWER[1:])
    assert read_quatrains(write(tmp_path, "|".join(lines)))[0][0].lines == lines


def test_compatibility_characters_are_normalized(tmp_path):
    # U+F967 looks like 不, and Unicode's normal form C converts it to 不.
    lines = ("\uf967日依山尽", *TOWER[1:])
    assert read_quatrains(write(tmp_path, "|".join(lines)))[0][0].lines[0] == "不日依山尽"


def test_a_line_separator_inside_json_does_not_end_the_line(tmp_path):
    path = write(tmp_path, record(title="a\u2028b\u0085c"), "a.jsonl")
    assert len(read_quatrains(path)[0]) == 1


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ('{"content": "白日', "invalid JSON: unterminated string"),
        ("白日依山尽", "invalid JSON: expecting value at column 1"),
        ("[1, 2]", "expected an object, got an array"),
        ('"白日"', "expected an object, got a string"),
        ("null", "expected an object, got null"),
        ('{"contant": "白日"}', "there is no 'content'. Did you mean 'contant'?"),
        ("{}", "there is no 'content'."),
        ('{"content": ["白日", 3]}', "expected 'content' to be a string, got an array"),
        ('{"content": null}', "expected 'content' to be a string, got null"),
        ('{"content": true}', "expected 'content' to be a string, got a Boolean"),
        ("[" * 100_000, "invalid JSON"),
        ('{"content": ' + "9" * 5000 + "}", "invalid JSON"),
    ],
)
def test_invalid_json_is_reported_with_file_and_line(tmp_path, line, problem):
    path = write(tmp_path, f"{record()}\n\n{line}\n", "poems.jsonl")
    message = refusal(path)
    assert message.startswith(f"{path}:3: {problem}")


def read(folder, text, name="poems.txt"):
    notes = []
    poems, skipped = read_quatrains(write(folder, text, name), notes)
    return [poem.lines for poem in poems], skipped, notes


def couplets(poem):
    return f"{poem[0]}，{poem[1]}。\n{poem[2]}，{poem[3]}。"


def test_a_json_array_with_paragraphs_is_read(tmp_path):
    # As in the public corpora, over several lines and in traditional characters.
    poem = ["牀前明月光，疑是地上霜。", "舉頭望明月，低頭思故鄉。"]
    rows = [{"author": "李白", "paragraphs": poem, "title": "靜夜思", "id": "x"}] * 3
    path = write(tmp_path, json.dumps(rows, ensure_ascii=False, indent=2), "poet.tang.0.json")
    notes = []
    poems, skipped = read_quatrains(path, notes)
    assert [len(poems), poems[0].title, poems[0].author] == [3, "靜夜思", "李白"]
    assert poems[0].lines == ("牀前明月光", "疑是地上霜", "舉頭望明月", "低頭思故鄉")
    assert skipped == {}
    assert len(notes) == 1 and "is in traditional characters" in notes[0]
    message = refusal(write(tmp_path, "[\n{},\n{]", "poems.json"))
    assert "poems.json:3: invalid JSON: expecting property name" in message


@pytest.mark.parametrize(
    ("text", "layout"),
    [
        ("登楼:{0}\n夜泊：张继：{1}\n", ""),
        ("登楼,王之涣,{0}\n夜泊 {1}\n", ""),
        ("登楼 王之涣\n{2}\n\n夜泊\n张继\n{3}\n", "poems with a blank line after each"),
        ("{4}\n\n\n{5}\n", "poems with a blank line after each"),
        ("{2}\n{3}\n", "couplets, two lines per poem"),
        ("登楼\n{2}\n夜泊 张继\n{3}\n", "couplets, two lines per poem"),
        ("{4}\n{5}\n", "four lines per poem"),
    ],
)
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_poems_over_several_lines_and_with_titles_are_read(tmp_path, text, layout, end):
    whole = ["，".join(TOWER), "，".join(BRIDGE)]
    filled = text.format(*whole, *map(couplets, (TOWER, BRIDGE)), *map("\n".join, (TOWER, BRIDGE)))
    lines, skipped, notes = read(tmp_path, filled.replace("\n", end))
    assert (lines, skipped) == ([TOWER, BRIDGE], {})
    assert notes == ([f"poems.txt is read as {layout}."] if layout else [])


def test_titles_before_a_colon_and_in_tables_are_kept(tmp_path):
    (poem,), _ = read_quatrains(write(tmp_path, f"登楼：{couplets(TOWER)}".replace("\n", "")))
    assert poem.title == "登楼"


@pytest.mark.parametrize(
    "header", ['"题目","朝代","作者","内容"', "title,dynasty,author,content", "title\tx\ty\t内容"]
)
def test_a_table_with_a_header_is_read(tmp_path, header):
    tab = "\t" in header
    row = f'"登楼","唐","王之涣","{"，".join(TOWER)}"'
    text = f"{header}\n{row}\n{row}\n"
    lines, skipped, notes = read(
        tmp_path, text.replace('","', '"\t"') if tab else text, "poems.csv"
    )
    assert (lines, skipped) == ([TOWER, TOWER], {})
    assert "is read as a table with the poems in column" in notes[0]


def test_notes_in_parentheses_are_left_out_and_reported(tmp_path):
    poem = "白日依山尽（一作近），黄河入海流[注]。欲穷千里目，更上一层楼〔完〕。"
    lines, _, notes = read(tmp_path, poem)
    assert lines == [TOWER]
    assert notes == ["poems.txt: notes in parentheses are left out."]


def test_skipped_poems_and_encodings_are_reported(tmp_path):
    text = "，".join(TOWER) + "\n关关雎鸠，在河之洲\n" + "，".join(BRIDGE)
    _, _, notes = read(tmp_path, text.encode("gb18030"))
    assert notes == [
        "poems.txt is read as GB18030.",
        "poems.txt: 2 quatrains; poems that are skipped: 1 do not have 4 lines.",
    ]


def test_couplets_of_longer_poems_are_not_cut_into_quatrains(tmp_path):
    long = f"{couplets(TOWER)}\n{couplets(TOWER)}"
    text = f"长诗\n{long}\n登楼\n{couplets(TOWER)}\n夜泊\n{couplets(BRIDGE)}\n"
    lines, skipped, _ = read(tmp_path, text)
    assert (lines, skipped) == ([TOWER, BRIDGE], {"do not have 4 lines": 1})


@pytest.mark.parametrize("content", ["", "\n \n", "\ufeff", gzip.compress(b"", mtime=0)])
def test_an_empty_file_is_rejected(tmp_path, content):
    assert "is empty. Give JSON lines" in refusal(write(tmp_path, content))


def test_a_file_without_quatrains_is_rejected_with_reasons(tmp_path):
    path = write(tmp_path, "hello world\n你好\n关关雎鸠|在河之洲|窈窕淑女|君子好逑\n")
    message = refusal(path)
    assert "holds no quatrain: of its poems, 2 do not have 4 lines; 1 do not have 5" in message


def test_a_missing_file_is_reported_with_the_nearest_name(tmp_path):
    write(tmp_path, "x", "poems.jsonl")
    assert "does not exist. Did you mean 'poems.jsonl'?" in refusal(tmp_path / "poem.jsonl")
    assert "does not exist. Give JSON lines" in refusal(tmp_path / "no" / "where")


def test_a_folder_is_rejected(tmp_path):
    assert "expected a file, got a folder. Give JSON lines" in refusal(tmp_path)


def test_an_impossible_path_is_reported():
    with pytest.raises(DataError, match="cannot be read"):
        read_quatrains("a\0b")


def test_text_in_another_encoding_is_reported_with_its_line(tmp_path):
    path = write(tmp_path, "|".join(TOWER).encode() + b"\n" + "白日".encode("gb18030"))
    assert refusal(path).startswith(f"{path}:2: byte 0xb0 is not UTF-8. Save the file as UTF-8")


def test_truncated_and_damaged_gzip_files_are_reported(tmp_path):
    whole = gzip.compress((record() + "\n").encode() * 100)
    for damaged in (whole[:-20], whole[:15], whole[:20] + b"\xff" * 9 + whole[29:]):
        assert "is a damaged gzip file" in refusal(write(tmp_path, damaged, "a.jsonl.gz"))


@pytest.mark.skipif(not REAL.is_dir(), reason="the real quatrains are not here")
def test_the_real_quatrains_are_read():
    poems, skipped = read_quatrains(REAL / "valid.jsonl.gz")
    # 7,979 poems, some of which have □ for a lost character.
    assert len(poems) + sum(skipped.values()) == 7979
    assert set(skipped) == {"contain other than Chinese characters"}
    assert len(poems) > 7900


VERSE = "白日依山尽，黄河入海流。欲穷千里目，更上一层楼。"


@pytest.mark.parametrize(
    "line",
    [
        "“白日依山尽，黄河入海流。”「欲穷千里目，更上一层楼！」",
        "白日依山尽（一作（初）尽），黄河入海流。欲穷千里目，更上一层楼。",
        f"1_1\t登鹳雀楼\t王之涣\t{VERSE}",
        # The corpus of Zhang and Lapata (2014).
        "\t".join(" ".join(line) for line in TOWER),
    ],
)
def test_quotes_nested_notes_columns_and_spaces_within_lines_are_left_out(tmp_path, line):
    poems, skipped = read_quatrains(write(tmp_path, line.encode()))
    assert ([poem.lines for poem in poems], skipped) == ([TOWER], {})


@pytest.mark.parametrize("end", ["\n", "\r", "\r\n"])
@pytest.mark.parametrize("header", ["title,content", "标题;诗文", "id\ttext"])
def test_tables_of_every_delimiter_and_line_end_are_read(tmp_path, header, end):
    mark = next(letter for letter in header if letter in ",;\t")
    path = write(tmp_path, f"{header}{end}登{mark}{VERSE}{end}".encode())
    notes = []
    assert [poem.lines for poem in read_quatrains(path, notes)[0]] == [TOWER]
    assert "is read as a table" in notes[0]


def test_longer_poems_between_blank_lines_are_not_cut_into_quatrains(tmp_path):
    couplets = VERSE.replace("流。", "流。\n") + "\n"
    with pytest.raises(DataError, match="holds no quatrain"):
        read_quatrains(write(tmp_path, (2 * couplets + "\n").encode() * 3))
    assert len(read_quatrains(write(tmp_path, couplets.replace("\n", "\n\n").encode() * 3))[0]) == 3


def test_one_object_over_several_lines_is_said_to_be_one(tmp_path):
    path = write(tmp_path, b'{\n "title": "x",\n "content": []\n}')
    with pytest.raises(DataError, match="one JSON object over several lines; expected an array"):
        read_quatrains(path)
