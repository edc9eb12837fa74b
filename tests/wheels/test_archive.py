"""Bad input: refused with the reason, whatever it is; and nothing but our own error."""

from __future__ import annotations

import io
import random
import stat
import struct
import zipfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from small_wheels import wheel_members, write_zip

from mambaops.core.errors import MambaopsError
from mambaops.wheels.archive import check_zip

MEMBERS = wheel_members(
    "tiny", "1.0", {"tiny/__init__.py": b"x = 1\n", "tiny/b.bin": b"\1" * 500}, []
)
INFO = "tiny-1.0.dist-info"


def with_record(old: bytes, new: bytes) -> dict[str, bytes]:
    record = MEMBERS[f"{INFO}/RECORD"]
    assert old in record
    return {**MEMBERS, f"{INFO}/RECORD": record.replace(old, new)}


def evil_names(name: str) -> dict[str, bytes]:
    return {**MEMBERS, name: b"evil"}


REFUSED = {
    "a changed member": ({**MEMBERS, "tiny/b.bin": b"\2" * 500}, "not the one in its RECORD"),
    "a missing member": (
        {name: data for name, data in MEMBERS.items() if name != "tiny/b.bin"},
        "lacks `tiny/b.bin`",
    ),
    "a member that RECORD does not know": ({**MEMBERS, "tiny/c.py": b""}, "does not know"),
    "no RECORD": (
        {name: data for name, data in MEMBERS.items() if not name.endswith("/RECORD")},
        "has no tiny-1.0.dist-info/RECORD: it is no wheel",
    ),
    "no METADATA": (
        {name: data for name, data in MEMBERS.items() if not name.endswith("/METADATA")},
        "METADATA",
    ),
    "no dist-info": ({"a.py": b""}, "has 0 .dist-info folders"),
    "two dist-infos": ({**MEMBERS, "other-1.dist-info/WHEEL": b""}, "has 2 .dist-info folders"),
    "a weak hash": (with_record(b"sha256=", b"md5="), "no usable hash"),
    "no hash": (with_record(b"tiny/b.bin,sha256=", b"tiny/b.bin,="), "invalid hash algorithm"),
    "a hash that is none": (with_record(b"tiny/b.bin,sha256=", b"tiny/b.bin,sha256=!"), "RECORD"),
    "a climbing member": (evil_names("../evil.py"), "climbs out"),
    "climbing further in": (evil_names("tiny/../../evil.py"), "climbs out"),
    "an absolute member": (evil_names("/etc/evil"), "climbs out"),
    "Windows' separator": (evil_names("tiny\\..\\evil.py"), "climbs out"),
    "a drive": (evil_names("C:/evil.py"), "drive letter"),
    "the folder itself": (evil_names(".."), "climbs out"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused_with_the_reason(case, tmp_path):
    members, reason = REFUSED[case]
    path = write_zip(tmp_path / "tiny-1.0-py3-none-any.whl", members)
    with pytest.raises(MambaopsError, match=reason.replace(".", r"\.")):
        check_zip(path)


def test_whole_wheels_pass(tmp_path):
    check_zip(write_zip(tmp_path / "a.whl", MEMBERS))
    signed = {**MEMBERS, f"{INFO}/RECORD.jws": b"{}"}
    check_zip(write_zip(tmp_path / "b.whl", signed))


RELEASE, TAGS = "mamba_ssm-2.2.4+cu12torch2.2cxx11abiFALSE", "-cp310-cp310-linux_x86_64.whl"
NOT_ZIPS = {
    "nothing": (b"", "ends too early"),
    "text": (b"hello" * 100, "something else"),
    "a web page": (b"<!DOCTYPE html><html>log in</html>", "web page"),
    "a Git LFS pointer": (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\n", "LFS"),
}


@pytest.mark.parametrize("case", NOT_ZIPS)
def test_what_is_no_zip_is_named(case, tmp_path):
    content, hint = NOT_ZIPS[case]
    path = tmp_path / "a.whl"
    path.write_bytes(content)
    with pytest.raises(MambaopsError, match="not a whole zip archive") as caught:
        check_zip(path)
    assert hint in caught.value.hint


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("x-1.0-py3-none-any.whl", "`mambaops fetch-wheel ADDRESS`"),
        ("x.whl.part", "`mambaops fetch-wheel ADDRESS`"),
        (f"{RELEASE}.glibc2.31{TAGS}", "`mambaops fetch-wheel ADDRESS`"),
        (f"{RELEASE}{TAGS}", "`mambaops fetch-wheel --name {name} --output '{folder}' --force`"),
    ],
)
def test_where_a_whole_one_comes_from(name: str, line: str, tmp_path) -> None:
    folder = tmp_path / "by hand"
    folder.mkdir()
    (folder / name).write_bytes(b"PK")
    with pytest.raises(MambaopsError) as caught:
        check_zip(folder / name)
    assert line.format(name=name, folder=folder) in caught.value.hint


def test_no_file_and_a_folder(tmp_path):
    for path in (tmp_path / "nothing.whl", tmp_path):
        with pytest.raises(MambaopsError, match="cannot be read"):
            check_zip(path)


def test_cut_off_anywhere(tmp_path):
    whole = write_zip(tmp_path / "a.whl", MEMBERS).read_bytes()
    for length in range(0, len(whole), 37):
        (tmp_path / "cut.whl").write_bytes(whole[:length])
        with pytest.raises(MambaopsError):
            check_zip(tmp_path / "cut.whl")


def test_a_bomb_of_zeros(tmp_path):
    path = tmp_path / "bomb.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in MEMBERS.items():
            archive.writestr(name, data)
        archive.writestr("tiny/zeros", bytes(80 * 1024**2))
    with pytest.raises(MambaopsError, match="zip bomb"):
        check_zip(path)


def test_members_that_lie_over_each_other(tmp_path):
    """Many directory entries for one piece of packed data: small on disk, huge outside."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("tiny/a", random.Random(0).randbytes(50_000))
        info = archive.infolist()[0]
        for number in range(50):
            twin = zipfile.ZipInfo(f"tiny/{number}")
            for field in ("CRC", "compress_size", "file_size", "header_offset", "compress_type"):
                setattr(twin, field, getattr(info, field))
            archive.filelist.append(twin)
            archive.NameToInfo[twin.filename] = twin
    path = tmp_path / "over.whl"
    path.write_bytes(buffer.getvalue())
    with pytest.raises(MambaopsError, match="lie over each other"):
        check_zip(path)


def test_a_size_that_is_a_lie(tmp_path):
    """The directory promises less than the data inflates to: the rest is not read, and the hash tells."""
    path = tmp_path / "lie.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in MEMBERS.items():
            archive.writestr(name, data)
        archive.getinfo("tiny/b.bin").file_size = 10
    with pytest.raises(MambaopsError):
        check_zip(path)


def test_more_than_any_wheel_unpacks_to(tmp_path):
    path = tmp_path / "huge.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("tiny/a", b"x")
        archive.getinfo("tiny/a").file_size = 33 * 1024**3
    with pytest.raises(MambaopsError, match="more than"):
        check_zip(path)


def test_links_doubles_and_encryption(tmp_path):
    link = zipfile.ZipInfo("tiny/link")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    path = write_zip(tmp_path / "a.whl", MEMBERS)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(link, "/etc/passwd")
    with pytest.raises(MambaopsError, match="link"):
        check_zip(path)
    path = write_zip(tmp_path / "b.whl", MEMBERS)
    with zipfile.ZipFile(path, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("tiny/b.bin", b"\2" * 500)
    with pytest.raises(MambaopsError, match="twice"):
        check_zip(path)
    data = bytearray(write_zip(tmp_path / "c.whl", MEMBERS).read_bytes())
    at = data.rindex(b"PK\1\2")
    struct.pack_into("<H", data, at + 8, 1)
    (tmp_path / "c.whl").write_bytes(data)
    with pytest.raises(MambaopsError, match="encrypted"):
        check_zip(tmp_path / "c.whl")


@settings(
    max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
@given(where=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_no_flipped_bit_changes_what_is_unpacked(where, bit, tmp_path):
    """Whatever bit is wrong: it is refused by our own error, or it changed no name and no byte of a member."""
    whole = bytearray(write_zip(tmp_path / "a.whl", MEMBERS).read_bytes())
    whole[int(where * len(whole))] ^= 1 << bit
    path = tmp_path / "flipped.whl"
    path.write_bytes(whole)
    try:
        check_zip(path)
    except MambaopsError:
        return
    assert contents(path) == MEMBERS


def contents(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {
            info.filename: archive.read(info) for info in archive.infolist() if not info.is_dir()
        }
