"""Fetch the setup.py of every published release of both packages into this folder, and write index.json.

    python tests/patching/setup_py/refresh.py

Uses pip's own finder and session, so it asks whatever index and mirror pip is configured for, and runs
nothing of what it fetches. Files that are equal are kept once, under the name of their first release.
"""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from pathlib import Path
from typing import Any

from packaging.version import Version
from pip._internal.commands import create_command

HERE = Path(__file__).parent
PACKAGES = ("causal-conv1d", "mamba-ssm")


def main() -> None:
    command: Any = create_command("download")
    options, _ = command.parse_args(["nothing", "--no-binary", ":all:"])
    with command.main_context():
        session = command.get_default_session(options)
        finder = command._build_package_finder(options, session)
        index = {name: _releases(finder, session, name) for name in PACKAGES}
    text = json.dumps(index, indent=2) + "\n"
    (HERE / "index.json").write_text(text, encoding="utf-8")


def _releases(finder: Any, session: Any, name: str) -> dict[str, dict[str, Any]]:
    candidates = sorted(
        finder.find_all_candidates(name), key=lambda item: Version(str(item.version))
    )
    found: dict[str, dict[str, Any]] = {}
    names: dict[str, str] = {}
    for candidate in candidates:
        version = str(candidate.version)
        data = _fetch(session, candidate.link)
        text, has_sources = _look_inside(data)
        digest = hashlib.sha256(text).hexdigest()
        file = names.setdefault(digest, f"{name.replace('-', '_')}-{version}.py")
        (HERE / file).write_bytes(text)
        found[version] = {
            "file": file,
            "setup_sha256": digest,
            "sdist_sha256": hashlib.sha256(data).hexdigest(),
            "cuda_sources": has_sources,
        }
        print(name, version, file)
    return found


def _fetch(session: Any, link: Any) -> bytes:
    if link.scheme == "file":
        return Path(link.file_path).read_bytes()
    answer = session.get(link.url_without_fragment)
    answer.raise_for_status()
    return bytes(answer.content)


def _look_inside(sdist: bytes) -> tuple[bytes, bool]:
    """The text of setup.py, and whether the archive holds CUDA sources."""
    with tarfile.open(fileobj=io.BytesIO(sdist)) as archive:
        names = archive.getnames()
        (setup,) = [name for name in names if name.count("/") == 1 and name.endswith("/setup.py")]
        member = archive.extractfile(setup)
        assert member is not None
        return member.read(), any(name.endswith(".cu") for name in names)


if __name__ == "__main__":
    main()
