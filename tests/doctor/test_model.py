"""The small readers that the checks share."""

import pytest

from mambaops.doctor.model import minor, release, size


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("12.8.93", (12, 8, 93)),
        ("2.6.0+cu124", (2, 6, 0)),
        (None, ()),
        ("2.9.0.dev1", (2, 9, 0)),
        ("1.5.0.post8", (1, 5, 0)),
        ("2.0rc1", (2, 0)),
        ("2.9rc1.7", (2, 9)),
        ("2.dev.7", (2,)),
    ],
)
def test_release(text: str | None, numbers: tuple[int, ...]) -> None:
    assert release(text) == numbers


@pytest.mark.parametrize(
    ("text", "expected"), [("12.8.93", "12.8"), ("2.6+cu124", "2.6"), (None, ""), ("13", "13")]
)
def test_minor(text: str | None, expected: str) -> None:
    assert minor(text) == expected


@pytest.mark.parametrize(
    ("amount", "expected"), [(None, "unknown"), (0, "0.0 GiB"), (6 << 30, "6.0 GiB")]
)
def test_size(amount: int | None, expected: str) -> None:
    assert size(amount) == expected
