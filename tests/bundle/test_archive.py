"""A bundle's tar: cut off, not one, or one that climbs out of its folder."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

from mambaops.bundle.archive import extract_tar
from mambaops.bundle.install import install_bundle
from mambaops.core.errors import MambaopsError, UsageError

pytestmark = pytest.mark.usefixtures("offline", "our_python_is_on_path")


def test_a_tar_that_was_cut_off(made, tmp_path):
    data = made.path.read_bytes()
    for length in (0, 100, len(data) // 2, len(data) - 20_000):
        cut = tmp_path / "cut.tar"
        cut.write_bytes(data[:length])
        with pytest.raises(MambaopsError):
            install_bundle(cut, tmp_path / "env")
        assert not (tmp_path / "env").exists()
    # the same command with the whole file goes on with what had been unpacked
    cut.write_bytes(data)
    assert install_bundle(cut, tmp_path / "env").packages == 4


def evil(kind: str) -> tarfile.TarInfo:
    info = tarfile.TarInfo("small/x")
    if kind in ("../evil", "/tmp/evil-absolute", "small/../../evil"):
        info.name = kind
        info.size = 4
    elif kind == "symlink":
        info.type, info.linkname = tarfile.SYMTYPE, "/etc/passwd"
    elif kind == "hard link":
        info.type, info.linkname = tarfile.LNKTYPE, "/etc/passwd"
    elif kind == "device":
        info.type = tarfile.CHRTYPE
    elif kind == "fifo":
        info.type = tarfile.FIFOTYPE
    return info


@pytest.mark.parametrize(
    "kind",
    ["../evil", "/tmp/evil-absolute", "small/../../evil", "symlink", "hard link", "device", "fifo"],
)
def test_an_evil_tar_is_refused(kind, tmp_path):
    path = tmp_path / "evil.tar"
    with tarfile.open(path, "w") as archive:
        archive.addfile(evil(kind), io.BytesIO(b"evil"))
    with pytest.raises(MambaopsError, match=r"climbs out|neither file nor folder"):
        extract_tar(path, tmp_path / "into/deep")
    assert not list(tmp_path.rglob("*evil*/*")) and not (tmp_path / "into/evil").exists()
    assert not Path("/tmp/evil-absolute").exists()


def test_a_tar_that_is_no_bundle(tmp_path):
    path = tmp_path / "other.tar"
    with tarfile.open(path, "w") as archive:
        info = tarfile.TarInfo("other/readme")
        archive.addfile(info, io.BytesIO())
    with pytest.raises(MambaopsError, match="no bundle of mambaops"):
        install_bundle(path, tmp_path / "env")
    with pytest.raises(UsageError, match="there is no bundle"):
        install_bundle(tmp_path / "nothing.tar", tmp_path / "env")
