"""One pass over a log: where a line begins and ends, what stands near it, what comes in which piece."""

from __future__ import annotations

import pytest

from mambaops.diagnose.piece import NEAR, SHOWN, WINDOW, Piece, around
from mambaops.diagnose.scan import HITS_PER_RULE, MANY, scan

OLD_CUDA = "RuntimeError: mamba_ssm is only supported on CUDA 11.6 and above."
RULE = "cuda-too-old-11-6"
CACHED = "  Using cached mamba_ssm-1.2.0-cp310-cp310-linux_x86_64.whl"
SYMBOL = "ImportError: x.so: undefined symbol: _ZN2at4_ops5zeros4callEv"
# how pip's lines of a wheel's building look while nothing has come after them
HUNG = "  Building wheel for mamba-ssm (pyproject.toml): still running..."


def piece(text: str, **more: str) -> Piece:
    return Piece(more.get("before", ""), text, more.get("after", ""), 1)


@pytest.mark.parametrize(
    ("text", "position", "bounds"),
    [
        ("one\ntwo\nthree", 5, (4, 7)),
        ("one\ntwo\nthree", 0, (0, 3)),
        ("one\ntwo\nthree", 9, (8, 13)),
        ("one\rtwo\rthree", 5, (4, 7)),
        ("one\rtwo\nthree", 5, (4, 7)),
        ("one\ntwo\rthree", 5, (4, 7)),
        ("\n\nx", 1, (1, 1)),
        ("\nx", 0, (0, 0)),
        # a line that is longer than the window is cut on both sides of the place
        ("a" * 9000, 5000, (5000 - WINDOW, 5000 + WINDOW)),
        ("a" * 9000, 100, (0, 100 + WINDOW)),
        ("a" * 9000, 8900, (8900 - WINDOW, 9000)),
    ],
)
def test_bounds_of_the_line_around_a_place(
    text: str, position: int, bounds: tuple[int, int]
) -> None:
    assert piece(text).bounds(position) == bounds


def test_numbers_of_lines() -> None:
    assert [piece("\na\nb").number(n) for n in (0, 1, 3)] == [1, 2, 3]
    assert Piece("", "a\nb", "", 7).number(2) == 8


def test_what_stands_around_reaches_into_the_pieces_before_and_after() -> None:
    both = piece("x" * 10, before="B" * 2 * NEAR, after="A" * 10)
    assert both.around(4, 6) == "B" * (NEAR - 4) + "xxxx" + "\n" + "xxxx" + "A" * 10
    far = piece("l" * NEAR + "HIT" + "r" * NEAR, before="B", after="")
    assert far.around(NEAR, NEAR + 3) == "l" * NEAR + "\n" + "r" * NEAR


def test_lines_of_a_pattern_that_spans_several() -> None:
    text = "one\ntwo\nthree\nfour"
    assert piece(text).lines(0, 3, 1) == "one"
    assert piece(text).lines(0, 3, 2) == "one\ntwo"[:3] + "\ntwo"
    assert piece("one\r\ntwo\r\nthree").lines(0, 4, 2).replace("\r", "") == "one\ntwo"
    assert piece("one\n", after="two\nthree").lines(0, 3, 2) == "one\ntwo"


@pytest.mark.parametrize("blank", ["", "\n", "\n\n\n"])
def test_a_hit_tells_its_line_and_number(blank: str) -> None:
    (hit,) = scan([f"{blank}│ {OLD_CUDA}\nend\n"]).hits[RULE]
    assert (hit.line, hit.number) == (OLD_CUDA, len(blank) + 1)


def test_a_long_line_is_shown_in_part() -> None:
    (hit,) = scan([OLD_CUDA + "x" * 5000]).hits[RULE]
    assert hit.line == (OLD_CUDA + "x" * 5000)[:SHOWN] + "…"


def test_a_long_line_is_shown_around_what_matched() -> None:
    (hit,) = scan(["x" * 900 + " " + OLD_CUDA + "y" * 900]).hits[RULE]
    assert hit.line[0] == hit.line[-1] == "…"
    assert "mamba_ssm is only supported on CUDA 11.6" in hit.line
    assert len(hit.line) == SHOWN + 2


@pytest.mark.parametrize(
    ("length", "start", "end", "shown"),
    [
        (400, 390, 399, (0, 400)),
        (2000, 1000, 1010, (805, 1205)),
        (2000, 100, 110, (0, 400)),
        (1205, 1000, 1010, (805, 1205)),
        (1206, 1000, 1010, (805, 1205)),
        (2000, 1900, 1990, (1745, 2000)),
        (2000, 600, 1900, (600, 1000)),
    ],
)
@pytest.mark.parametrize("frame", ["", "  │ "])
def test_the_part_of_a_long_line_that_is_shown(
    frame: str, length: int, start: int, end: int, shown: tuple[int, int]
) -> None:
    text = "".join(f"{n:05d}" for n in range(length))[:length]
    low, high = shown
    expected = ("…" if low else "") + text[low:high] + ("…" if high < length else "")
    assert around(frame + text, start + len(frame), end + len(frame)) == expected


def test_the_lines_before_and_after_one() -> None:
    text = "\n".join(f"l{n}" for n in range(12))
    at = text.index("l6")
    assert piece(text).neighbours(at, at + 2) == ["l2", "l3", "l4", "l5", "l7", "l8", "l9", "l10"]
    assert piece(text).neighbours(0, 2) == ["l1", "l2", "l3", "l4"]
    far = f"a\n{'b' * 2 * WINDOW}\nx\n{'c' * 2 * WINDOW}\nd"
    at = far.index("x")
    assert piece(far).neighbours(at, at + 1) == ["b" * (WINDOW - 1), "c" * (WINDOW - 1)]


def test_a_few_hits_of_a_rule_are_enough() -> None:
    text = "".join(f"{n} {OLD_CUDA}\n" for n in range(20))
    assert [hit.number for hit in scan([text]).hits[RULE]] == list(range(1, HITS_PER_RULE + 1))
    pieces = [f"{n} {OLD_CUDA}\n" for n in range(20)]
    assert [hit.number for hit in scan(pieces).hits[RULE]] == list(range(1, HITS_PER_RULE + 1))


def test_what_must_stand_near_may_be_before_and_after_but_not_far() -> None:
    assert "pip-cache-stale-abi" in scan([f"{CACHED}\n{SYMBOL}\n"]).hits
    assert "pip-cache-stale-abi" in scan([f"{SYMBOL}\n{CACHED}\n"]).hits
    assert "pip-cache-stale-abi" in scan([f"{CACHED}\n", f"{SYMBOL}\n"]).hits
    assert "pip-cache-stale-abi" in scan([f"{SYMBOL}\n", f"{CACHED}\n"]).hits
    far = "x\n" * NEAR
    assert "pip-cache-stale-abi" not in scan([f"{CACHED}\n{far}{SYMBOL}\n"]).hits
    assert "pip-cache-stale-abi" not in scan([f"{SYMBOL}\n{far}{CACHED}\n"]).hits
    assert "pip-cache-stale-abi" not in scan([f"{CACHED}\n", far, f"{SYMBOL}\n"]).hits
    assert "pip-cache-stale-abi" in scan([f"{far}{SYMBOL}\n{CACHED}\n{far}"]).hits
    assert "pip-cache-stale-abi" in scan([f"{far}{CACHED}\n{SYMBOL}\n{far}"]).hits
    assert "pip-cache-stale-abi" in scan([f"{CACHED}\n", f"{SYMBOL}\n{far}"]).hits
    assert "pip-cache-stale-abi" in scan([f"{far}{SYMBOL}\n", f"{CACHED}\n"]).hits
    assert "pip-cache-stale-abi" not in scan([f"{far}{CACHED}\n{far}{SYMBOL}\n{far}"]).hits
    assert "pip-cache-stale-abi" not in scan([f"{far}{SYMBOL}\n{far}{CACHED}\n{far}"]).hits
    twice = f"{far}{SYMBOL}\n{far}{CACHED}\n{SYMBOL} again\n{far}"
    (hit,) = scan([twice]).hits["pip-cache-stale-abi"]
    assert hit.number == 2 * NEAR + 3


def test_the_same_needle_again_where_something_stands_near() -> None:
    far = "x\n" * NEAR
    (hit,) = scan([f"{SYMBOL}\n{far}{CACHED}\n{SYMBOL} again\n"]).hits["pip-cache-stale-abi"]
    assert hit.number == NEAR + 3


def test_a_line_that_said_nothing_is_looked_at_again_where_it_may_say_something() -> None:
    far = "x\n" * NEAR
    (hit,) = scan([f"{SYMBOL}\n{far}{CACHED}\n{SYMBOL}\n"]).hits["pip-cache-stale-abi"]
    assert hit.number == NEAR + 3
    crash, image = "Segmentation fault (core dumped)\n", "nvcr.io/nvidia/pytorch:24.03-py3\n"
    (hit,) = scan([f"{crash}{far}{image}{crash}"]).hits["ngc-segfault"]
    assert hit.number == NEAR + 3
    first = "The detected CUDA version (12.3) mismatches the version that was used to compile\n"
    (hit,) = scan([f"{first}x\n{first}PyTorch (11.8).\n"]).hits["cuda-major-mismatch"]
    assert hit.number == 3


def test_two_failures_in_one_progress_line() -> None:
    seen = scan([f"a\r{OLD_CUDA}\rNameError: name 'bare_metal_version' is not defined\n"])
    assert {RULE, "nvcc-not-found-nameerror"} <= set(seen.hits)
    assert seen.hits[RULE][0].line == OLD_CUDA


def test_a_pattern_over_two_lines_and_two_pieces() -> None:
    first = "The detected CUDA version (12.3) mismatches the version that was used to compile\n"
    second = "PyTorch (11.8). Please make sure\n"
    for pieces in ([first + second], [first, second], [first.replace("\n", "\r\n") + second]):
        (hit,) = scan(pieces).hits["cuda-major-mismatch"]
        assert hit.groups == {"nvcc": "12.3", "torch": "11.8"}
    assert "cuda-major-mismatch" not in scan([first + "x\n" * 3 + second]).hits


@pytest.mark.parametrize(
    ("text", "number"),
    [
        (HUNG, 1),
        (f"a\n{HUNG}\n", 2),
        (f"a\n{HUNG}\n\n  \n", 2),
        (f"a\n{HUNG}\n^C\n", 2),
        (f"a\n{HUNG}\n  │\n", 2),
        (f"a\n{HUNG}\nERROR: Operation cancelled by user\n# exit 130 after 9 s\n", 2),
        (f"a\nother\r{HUNG}\n", 2),
        (f"a\n{HUNG}\r\n", 2),
    ],
)
def test_silence_is_a_symptom_at_the_end(text: str, number: int) -> None:
    (hit,) = scan([text]).hits["build-looks-hung"]
    assert (hit.number, hit.line) == (number, HUNG.strip())


def test_what_goes_on_is_not_silent() -> None:
    assert "build-looks-hung" not in scan([f"{HUNG}\nfinished\n"]).hits
    assert "build-looks-hung" not in scan([f"{HUNG}\n", "finished\n"]).hits
    assert "build-looks-hung" in scan(["started\n", f"{HUNG}\n"]).hits
    assert scan(["a\n", f"{HUNG}\n"]).hits["build-looks-hung"][0].number == 2


@pytest.mark.parametrize(
    ("pieces", "lines"),
    [([], 0), ([""], 0), (["a"], 1), (["a\n"], 1), (["a\nb"], 2), (["a\n", "b\n"], 2), (["\n"], 1)],
)
def test_lines_are_counted(pieces: list[str], lines: int) -> None:
    assert scan(pieces).lines == lines


def test_the_first_error_is_the_earliest_whatever_its_word() -> None:
    seen = scan(["fine\nLLVM ERROR: no\nValueError: x\nE: y\n"])
    assert (seen.first_error, seen.first_error_number) == ("LLVM ERROR: no", 2)
    seen = scan(["E: y\nValueError: x\n"])
    assert (seen.first_error, seen.first_error_number) == ("E: y", 1)


def test_the_first_error_of_a_later_piece() -> None:
    seen = scan(["fine\nfine\n", "ValueError: x\n", "ValueError: y\n"])
    assert (seen.first_error, seen.first_error_number) == ("ValueError: x", 3)


def test_an_error_after_another_try_of_git_is_found_in_a_later_piece() -> None:
    first = "Cloning into 'a'...\nfatal: unable to access 'https://x/': timed out\n"
    second = "Cloning into 'a'...\nReceiving objects: 100% (1/1), done.\nValueError: x\n"
    seen = scan([first, second])
    assert (seen.first_error, seen.first_error_number) == ("ValueError: x", 5)


def test_a_line_that_is_no_error_does_not_hide_the_next_one() -> None:
    seen = scan(["warning: no ValueError here\nwarning: no ValueError here\nValueError: x\n"])
    assert seen.first_error_number == 3


def test_a_long_first_error_is_shown_in_part() -> None:
    assert scan(["ValueError: " + "x" * 900]).first_error == ("ValueError: " + "x" * 900)[:SHOWN]


def dull(count: int, frame: str = "│ ") -> str:
    """So many lines that look like errors, differ in their numbers, and report nothing."""
    return "".join(
        f"{frame}x.cpp:{n}:4: note: error, undefined symbol: foo{n}\n" for n in range(count)
    )


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_what_stands_among_thousands_of_lines_that_say_nothing_is_found(ending: str) -> None:
    pieces = [dull(MANY + 100), dull(50) + f"│ 5%\r│ {OLD_CUDA}{ending}" + dull(50) + SYMBOL]
    found = scan(pieces)
    (hit,) = found.hits[RULE]
    assert (hit.line, hit.number) == (OLD_CUDA, MANY + 151)
    assert found.first_error_number == MANY + 151
    assert found.hits["torch-version-other"][0].number == MANY + 202


def test_lines_that_were_passed_over_still_count_and_stand_around() -> None:
    text = dull(MANY + 100, frame="")
    found = scan([text, f"{text}{CACHED}\n{dull(9)}{SYMBOL}\n"])
    assert found.hits["pip-cache-stale-abi"][0].number == 2 * (MANY + 100) + 11


def test_a_word_that_only_one_of_the_expressions_needs_hides_no_other() -> None:
    """Several rules share a needle; each is tried by the longest plain text of its own."""
    symbols = ["_ZN3c104cuda9SetDeviceEi", "torch_new_empty_x", "__nvJitLinkComplete_12_4"]
    lines = [f"ImportError: x.so: undefined symbol: {symbol}\n" for symbol in symbols]
    found = scan(lines).hits
    assert found["torch-version-setdevice-int"][0].number == 1
    assert found["torch-version-other"][-1].number == 2
    assert found["nvjitlink-shadowed"][0].number == 3
