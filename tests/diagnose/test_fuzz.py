"""Anything may stand in a log: never a crash, never a hang, always a line that exists."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mambaops.diagnose.match import examine
from mambaops.diagnose.rules import load
from mambaops.diagnose.text import chunks

_EXAMPLES = [example for rule in load().rules for example in rule.examples]
_PIECES = st.one_of(
    st.text(max_size=200),
    st.sampled_from(_EXAMPLES),
    st.sampled_from(
        [
            "\r",
            "\r\n",
            "\x1b[31m",
            "\x1b]8;;x",
            "\x00",
            "  │ ",
            "error: ",
            "undefined symbol: _Z",
            "\udcff",
        ]
    ),
    st.builds(
        lambda text, count: text * count,
        st.sampled_from(["a", "(", "error ", "\r", "_ZN", " "]),
        st.integers(1, 3000),
    ),
    st.binary(max_size=200).map(lambda data: data.decode("utf-8", "replace")),
)


@pytest.mark.long
@settings(max_examples=120, deadline=None)
@given(st.lists(_PIECES, max_size=12), st.integers(3, 5000))
def test_any_text(pieces: list[str], size: int) -> None:
    text = "\n".join(pieces)
    diagnosis = examine(chunks(text, size=size))
    count = text.count("\n") + 1
    for finding in diagnosis.findings:
        assert 1 <= finding.line_number <= count
    if diagnosis.first_error_line_number is not None:
        assert 1 <= diagnosis.first_error_line_number <= count


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(_EXAMPLES),
    st.lists(st.text(alphabet=" abcdefg/.-[]0123456789", max_size=60), max_size=40),
)
def test_noise_around_a_failure_does_not_hide_it(example: str, noise: list[str]) -> None:
    silent = {e for r in load().rules for p in r.patterns if p.at_end for e in r.examples}
    if example in silent:
        return
    alone = [finding.rule for finding in examine(iter([example])).findings]
    around = examine(iter(["\n".join([*noise, example, ""])]))
    assert [finding.rule for finding in around.findings] == alone
