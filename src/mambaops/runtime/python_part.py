"""The Python part of a package as a wheel, without its kernels: `mamba_ssm-2.3.2.post1+runtime-py3-none-any.whl`.

Upstream's setup.py would compile; what is wanted of it here is a copy of its folders of Python files.
"""

from __future__ import annotations

from collections.abc import Iterator
from email.message import Message
from email.parser import HeaderParser
from pathlib import Path

from mambaops.core.errors import MambaopsError
from mambaops.knowledge.packages import Package
from mambaops.wheels.pure import write_pure_wheel

# headers of an sdist's metadata that hold for its Python part as well
_KEPT = ("Summary", "Home-page", "Author", "Author-email", "License", "License-Expression", "Requires-Python", "Requires-Dist")  # fmt: skip


def write_python_part(package: Package, version: str, tree: Path, folder: Path) -> Path:
    """Write the wheel, whole or not at all.

    Args:
        version: of the wheel, with its local part. tree: the unpacked sdist or checkout.

    Raises:
        MambaopsError: the tree lacks the package's folders.
    """
    files = dict(_modules(package, tree))
    licences = sorted([*tree.glob("LICEN[CS]E*"), *tree.glob("AUTHORS*")])
    more = {f"licenses/{one.name}": one.read_bytes() for one in licences}
    name, metadata = package.name.replace("-", "_"), _metadata(package, version, tree)
    return write_pure_wheel(name, version, metadata, files, folder, more=more)


def _modules(package: Package, tree: Path) -> Iterator[tuple[str, bytes]]:
    """Path in site-packages -> content, of every importable folder that is no compiled module."""
    for module in package.modules.imports:
        top = module.partition(".")[0]
        if top in package.modules.kernels:
            continue
        if not (tree / top / "__init__.py").is_file():
            raise MambaopsError(
                f"the source of {package.name} in {tree} has no folder `{top}` with Python files",
                hint=f"`--source {package.name}=PATH` takes a checkout or an archive of a release",
            )
        for path in sorted((tree / top).rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts and path.suffix != ".so":
                yield path.relative_to(tree).as_posix(), path.read_bytes()


def _metadata(package: Package, version: str, tree: Path) -> str:
    published = tree / "PKG-INFO"
    said = Message()
    if published.is_file():
        said = HeaderParser().parsestr(published.read_text("utf-8", errors="replace"))
    lines = ["Metadata-Version: 2.1", f"Name: {package.name}", f"Version: {version}"]
    for key in _KEPT:
        lines += [f"{key}: {' '.join(str(one).split())}" for one in said.get_all(key, [])]
    return "\n".join(lines) + "\n"
