"""Is what arrived whole? By its own contents: a wheel's RECORD, an archive's checksums."""

from __future__ import annotations

import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

from mambaops.core.errors import MambaopsError
from mambaops.core.files import regular
from mambaops.wheels.archive import check_zip

PIECE = 1024**2


class Damaged(Exception):
    """The file has the wrong inside, so another download may be better."""


def check_archive(path: Path, name: str) -> None:
    """Is the inside whole? A wheel against its RECORD, other archives by unpacking in memory.

    Raises:
        Damaged: it is not.
    """
    try:
        if name.endswith(".whl"):
            check_zip(path)
        elif name.endswith(".zip"):
            with zipfile.ZipFile(regular(path)) as archive:
                if bad := archive.testzip():
                    raise Damaged(f"member `{bad}` is broken")
        elif name.endswith((".tar.gz", ".tgz", ".tar", ".tar.bz2", ".tar.xz")):
            _check_tar(path)
        elif path.stat().st_size == 0:
            raise Damaged("it is empty")
    except MambaopsError as error:
        raise Damaged(error.message + (f"; {error.hint}" if error.hint else "")) from error
    except (zipfile.BadZipFile, tarfile.TarError, OSError, EOFError, zlib.error) as error:
        raise Damaged(f"{name} is not a whole archive ({error})") from error


def _check_tar(path: Path) -> None:
    with tarfile.open(regular(path)) as archive:
        for member in archive:
            for _ in _pieces(archive, member):
                pass


def _pieces(archive: tarfile.TarFile, member: tarfile.TarInfo) -> Iterator[bytes]:
    file = archive.extractfile(member) if member.isfile() else None
    while file is not None and (piece := file.read(PIECE)):
        yield piece
