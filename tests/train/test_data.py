"""The caption table, its pictures and its tokens: every bad input is a clear error."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from PIL import Image

from mambaops.payload.train import data, demo_data, table
from mambaops.payload.train.errors import InputError
from mambaops.payload.train.images import read_image
from mambaops.payload.train.tiny_model import train_tokenizer


def write(path: Path, text: str, encoding: str = "utf-8") -> str:
    path.write_bytes(text.encode(encoding))
    return str(path)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gbk", "gb18030"])
def test_tables_of_every_encoding_read_the_same(tmp_path: Path, encoding: str) -> None:
    path = write(tmp_path / "t.csv", "image_path,answer\na.png,左肺上叶结节\n", encoding)
    (row,) = table.read_table(path, "问题")
    assert (row.answer, row.question) == ("左肺上叶结节", "问题")
    assert row.image == str(tmp_path / "a.png")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no column image_path"),
        ("path,answer\na,b\n", "its columns are: path, answer"),
        ("image_path,label\na,b\n", "no column answer or caption"),
        ("image_path,answer\n", "no rows"),
        ("image_path,answer\na.png,\n", "line 2: image_path or answer is empty"),
    ],
)
def test_bad_tables_say_what_is_wrong(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        table.read_table(write(tmp_path / "t.csv", text), "q")


def test_a_missing_table_says_where_the_path_ends(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=f"only down to {tmp_path}"):
        table.read_table(str(tmp_path / "no" / "t.csv"), "q")


def test_missing_images_are_counted_named_and_limited(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Image.new("L", (4, 4)).save(tmp_path / "here.png")
    lines = ["here.png,a", *(f"gone{k}.png,a" for k in range(7))]
    rows = table.read_table(
        write(tmp_path / "t.csv", "image_path,answer\n" + "\n".join(lines)), "q"
    )
    with pytest.raises(InputError, match=r"7 of 8 images are not there") as error:
        table.without_missing(rows, 0.05)
    assert error.value.message.count("gone") == 5
    assert [Path(row.image).name for row in table.without_missing(rows, 0.9)] == ["here.png"]
    assert "left out" in capsys.readouterr().out


@pytest.fixture
def small_tables(monkeypatch: pytest.MonkeyPatch) -> None:
    """A table of more than 100 rows is a large one."""
    monkeypatch.setattr(table, "WHOLE", 100)
    monkeypatch.setattr(table, "SAMPLE", 10)


def test_one_missing_among_many_is_found_by_looking_at_all(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], small_tables: None
) -> None:
    Image.new("L", (4, 4)).save(tmp_path / "here.png")
    lines = ["here.png,a"] * 101
    path = write(tmp_path / "t.csv", "image_path,answer\n" + "\n".join(lines))
    table.without_missing(table.read_table(path, "q"), 0.0)
    assert "10 of 101 pictures were looked for" in capsys.readouterr().out
    lines[0] = lines[8] = "gone.png,a"
    rows = table.read_table(
        write(tmp_path / "t.csv", "image_path,answer\n" + "\n".join(lines)), "q"
    )
    with pytest.raises(InputError, match="2 of 101 images are not there"):
        table.without_missing(rows, 0.0)
    assert table.without_missing(rows, 0.1)[0].line == 3


ODD = [
    "image_path,answer,question",
    '"a,1.png","two\nlines, ""quoted""",',
    "",
    'b.png,5" tall\u2028and more,为什么？',
    " c.png , spaces , ",
]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_rows_are_read_from_their_places(tmp_path: Path, end: str) -> None:
    """Line ends inside quotes, empty lines, a stray quote, the line ends of every system."""
    rows = table.read_table(write(tmp_path / "t.csv", end.join(ODD), "utf-8-sig"), "q")
    found = [rows[k] for k in (2, 0, 1)]  # in any order
    assert [Path(row.image).name for row in found] == ["c.png", "a,1.png", "b.png"]
    assert [row.answer for row in found] == [
        "spaces",
        'two\nlines, "quoted"',
        '5" tall\u2028and more',
    ]
    assert [row.question for row in found] == ["q", "q", "为什么？"]
    assert [rows.pick([1])[0], len(rows.pick([1]))] == [found[2], 1]


def test_the_checksum_is_of_what_the_table_says(tmp_path: Path) -> None:
    windows = write(tmp_path / "w.csv", "image_path,answer\nD:\\data\\a.png,x\n")
    other = write(tmp_path / "o.csv", 'text,image_path,question\r\n"x",/data/a.png,q\r\n')
    changed = write(tmp_path / "c.csv", "image_path,answer\n/data/a.png,y\n")
    first, second, third = (table.read_table(p, "q").digest() for p in (windows, other, changed))
    assert first == second == "1 rows, checksum " + first[-8:]
    assert third != first


def test_a_large_table_keeps_no_text_in_memory(tmp_path: Path) -> None:
    """16 bytes a row, and tokens when they are asked for."""
    answer = "长" * 300
    lines = [f"a.png,{k} {answer}" for k in range(3_000)]
    path = write(tmp_path / "t.csv", "image_path,answer\n" + "\n".join(lines))
    tracemalloc.start()
    rows = table.read_table(path, "q")
    dataset = data.CaptionDataset(rows, None, 64, 8, 1)
    held = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert held < 3_000 * 40, "the file has 900 bytes a row"
    assert dataset.answer(2_999) == f"2999 {answer}"


def test_the_longest_row_of_a_large_table_is_found(
    tmp_path: Path, tokenizer: object, small_tables: None
) -> None:
    lines = ["a.png,红"] * 400 + ["a.png,红色的圆形和黄色的圆环"] + ["a.png,红"] * 400
    rows = table.read_table(
        write(tmp_path / "t.csv", "image_path,answer\n" + "\n".join(lines)), "图"
    )
    audit = data.CaptionDataset(rows, tokenizer, 64, 8, 1).audit()
    assert audit.longest == 400
    assert "max 5; 0 of 10 answers cut (a sample of 801 rows)" in audit.text()


def test_an_unreadable_image_is_an_error_and_never_noise(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"no picture")
    with pytest.raises(InputError, match=r"a\.png cannot be read"):
        read_image(str(tmp_path / "a.png"), 8, 1)
    Image.new("RGB", (64, 64), "red").save(tmp_path / "b.png")
    whole = (tmp_path / "b.png").read_bytes()
    (tmp_path / "b.png").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match=r"b\.png cannot be read"):
        read_image(str(tmp_path / "b.png"), 8, 3)


def test_pictures_become_values_from_minus_one_to_one(tmp_path: Path) -> None:
    Image.new("RGB", (20, 10), (255, 0, 0)).save(tmp_path / "c.png")
    picture = read_image(str(tmp_path / "c.png"), 8, 3)
    assert picture.shape == (3, 8, 8)
    torch.testing.assert_close(picture.mean((1, 2)), torch.tensor([1.0, -1.0, -1.0]))
    deep = Image.new("I;16", (8, 8))
    deep.putpixel((0, 0), 4000)
    deep.save(tmp_path / "d.png")
    sixteen = read_image(str(tmp_path / "d.png"), 8, 1)
    assert (float(sixteen.min()), float(sixteen.max())) == (-1.0, 1.0)


def test_nifti_needs_nibabel_and_says_so(tmp_path: Path) -> None:
    (tmp_path / "v.nii.gz").write_bytes(b"")
    with pytest.raises(InputError, match=r"nibabel is not installed|cannot be read"):
        read_image(str(tmp_path / "v.nii.gz"), 8, 1)


@pytest.fixture(scope="module")
def tokenizer() -> object:
    return train_tokenizer([scene.sentence for scene in demo_data.all_scenes()])


def row(answer: str, question: str = "描述图片：") -> table.Row:
    return table.Row(image="a.png", answer=answer, question=question, line=7)


def test_an_answer_cut_to_nothing_is_an_error(tokenizer: object) -> None:
    with pytest.raises(InputError, match=r"line 7: .*cut to nothing"):
        data.encode(tokenizer, row("图"), 4)


def test_a_long_answer_is_cut_and_counted(tokenizer: object) -> None:
    whole = data.encode(tokenizer, row("左上方有三个红色的圆形。"), 64)
    assert whole.answer[-1] == tokenizer.eos_token_id  # type: ignore[attr-defined]
    assert whole.cut == 0
    short = data.encode(tokenizer, row("左上方有三个红色的圆形。"), len(whole.prompt) + 4)
    assert short.answer == whole.answer[:4]
    assert short.cut == len(whole.answer) - 4


def test_only_the_answer_is_labelled() -> None:
    image = torch.zeros(1, 2, 2)
    batch = data.collate(
        [
            {"image": image, "prompt": [5, 6], "answer": [7, 2]},
            {"image": image, "prompt": [5], "answer": [2]},
        ]
    )
    assert batch["ids"].tolist() == [[5, 6, 7, 2], [5, 2, 0, 0]]
    assert batch["labels"].tolist() == [[-100, -100, 7, 2], [-100, 2, -100, -100]]


def test_no_token_spans_two_characters(tokenizer: Callable[..., dict[str, list[int]]]) -> None:
    """A merge over a phrase would be a token that an unseen combination lacks."""
    for scene in demo_data.all_scenes()[::37]:
        ids = tokenizer(scene.sentence)["input_ids"]
        assert len(ids) == len(scene.sentence)
        assert tokenizer.decode(ids) == scene.sentence  # type: ignore[attr-defined]


def test_tested_combinations_are_never_trained_and_their_pairs_are() -> None:
    parts = demo_data.split_scenes(0)
    assert not set(parts["train"]) & set(parts["test"])
    assert not set(parts["train"]) & set(parts["val"])
    assert sum(map(len, parts.values())) == len(demo_data.all_scenes())
    for first in ("shape", "colour", "place", "count"):
        for second in ("shape", "colour", "place", "count"):
            trained = {(getattr(s, first), getattr(s, second)) for s in parts["train"]}
            assert {(getattr(s, first), getattr(s, second)) for s in parts["test"]} <= trained


def test_windows_names_in_the_demonstration_table(tmp_path: Path) -> None:
    tables = demo_data.write_set(str(tmp_path), 2, windows_root="D:\\mamba\\demo")
    assert "D:\\mamba\\demo\\train\\00000.png" in Path(tables["train"]).read_text("utf-8-sig")
