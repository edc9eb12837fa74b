"""Write a changed copy of a wheel: members replaced and added, another local version, a new RECORD."""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

from installer.records import RecordEntry

from mambaops.core.files import replacing
from mambaops.wheels.names import WheelName
from mambaops.wheels.record import UNRECORDED, copy_recorded, write_record


class WheelRewriter:
    """Copies an opened wheel under a new name.

    The version in METADATA and the `.dist-info` folder's name follow the file name: installers that choose
    by name compare the two.
    """

    def __init__(self, archive: zipfile.ZipFile, old: str, name: WheelName) -> None:
        self._archive = archive
        self._old = old
        self._name = name
        self._record: list[RecordEntry] = []

    def write(
        self,
        target: Path,
        *,
        replaced: Mapping[str, Path],
        added: Mapping[str, bytes],
        said: Sequence[str],
    ) -> None:
        """Write it aside and move it into place.

        Args:
            replaced: member -> file with its new content. added: member -> content.
            said: what was done; kept in the wheel as `mambaops-repair.json`.
        """
        with replacing(target) as aside, zipfile.ZipFile(aside, "w", zipfile.ZIP_DEFLATED) as out:
            for info in self._archive.infolist():
                self._copy(out, info, replaced)
            for member, content in added.items():
                self._put(out, _info(member, 0o755), content)
            self._put_evidence(out, said)
            self._put_record(out)

    @property
    def _folder(self) -> str:
        distribution = self._name.distribution or self._name.package.replace("-", "_")
        return f"{distribution}-{self._name.version}+{self._name.build}.dist-info"

    def _copy(
        self, out: zipfile.ZipFile, info: zipfile.ZipInfo, replaced: Mapping[str, Path]
    ) -> None:
        folder, _, rest = info.filename.partition("/")
        in_info = folder.endswith(".dist-info")
        if info.is_dir() or (in_info and rest in UNRECORDED):
            return
        member = f"{self._folder}/{rest}" if in_info else info.filename
        copy = zipfile.ZipInfo(member, date_time=info.date_time)
        copy.external_attr, copy.compress_type = info.external_attr, zipfile.ZIP_DEFLATED
        if in_info and rest == "METADATA":
            self._put(out, copy, self._metadata(self._archive.read(info)))
        elif info.filename in replaced:
            with replaced[info.filename].open("rb") as source:
                self._stream(out, copy, source)
        else:
            with self._archive.open(info) as source:
                self._stream(out, copy, source)

    def _metadata(self, text: bytes) -> bytes:
        version = f"Version: {self._name.version}+{self._name.build}"
        # e.g. b"Version: 2.3.1" on a line of its own, in the headers (before the first empty line)
        headers, blank, body = text.partition(b"\n\n")
        changed = re.sub(rb"(?m)^Version:[^\r\n]*", version.encode(), headers, count=1)
        return changed + blank + body

    def _put(self, out: zipfile.ZipFile, info: zipfile.ZipInfo, content: bytes) -> None:
        self._stream(out, info, io.BytesIO(content))

    def _stream(self, out: zipfile.ZipFile, info: zipfile.ZipInfo, source: IO[bytes]) -> None:
        with out.open(info, "w", force_zip64=True) as sink:
            self._record.append(copy_recorded(info.filename, source, sink))

    def _put_evidence(self, out: zipfile.ZipFile, said: Sequence[str]) -> None:
        text = json.dumps({"from": self._old, "done": list(said)}, indent=2) + "\n"
        self._put(out, _info(f"{self._folder}/mambaops-repair.json", 0o644), text.encode())

    def _put_record(self, out: zipfile.ZipFile) -> None:
        own = f"{self._folder}/RECORD"
        out.writestr(_info(own, 0o644), write_record(self._record, own))


def _info(member: str, mode: int) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(member)
    info.external_attr = (0o100000 | mode) << 16
    info.compress_type = zipfile.ZIP_DEFLATED
    return info
