"""What holds of any log, in whatever pieces it comes; verdicts are in `cases/`."""

import pytest

from mambaops.diagnose.match import examine, match
from mambaops.diagnose.text import chunks, whole_lines

MISMATCH = "RuntimeError: ('The detected CUDA version (%s) mismatches the version that was used to compilePyTorch (%s). Please make sure to use the same CUDA versions.', '13.0', '12.8')"


def test_a_wrapper_alone_says_that_the_reason_is_missing() -> None:
    (finding,) = match("RuntimeError: Error compiling objects for extension\n")
    assert finding.rule == "ninja-generic-wrapper"
    assert any("--version" in text for text in finding.does_not_help)


def test_pieces_make_no_difference() -> None:
    text = "line\n" * 50 + MISMATCH + "\n" + "line\n" * 50
    whole = examine(iter([text]))
    for size in (300, 500, 1000):
        assert (
            examine(chunks(text, size=size)).findings[0].line_number
            == whole.findings[0].line_number
            == 51
        )
        blocks = iter([text[i : i + size] for i in range(0, len(text), size)])
        assert examine(whole_lines(blocks)).findings == whole.findings


def test_a_context_in_the_piece_before_counts() -> None:
    text = "Getting requirements to build wheel: finished with status 'error'\nModuleNotFoundError: No module named 'torch'\n"
    assert [f.rule for f in examine(chunks(text, size=70)).findings] == [
        "no-module-torch-in-isolation"
    ]


@pytest.mark.parametrize(
    ("log", "evidence"),
    [
        ("Collecting x\n  Successfully installed x-1\n[notice] a new pip\n", "Successfully installed x-1"),
        ("x\nBuild failed\n", "Build failed"),
        ("Collecting x\n", ""),
    ],
)  # fmt: skip
def test_the_line_that_shows_the_end_is_named(log: str, evidence: str) -> None:
    assert examine([log]).evidence == evidence


def test_no_log_is_no_failure() -> None:
    diagnosis = examine(iter([]))
    assert not diagnosis.failed and diagnosis.lines == 0
