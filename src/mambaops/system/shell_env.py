"""`CUDA_HOME`, `PATH` and `LD_LIBRARY_PATH` for a shell: printed, or as a marked block in its start-up file.

The block can be written again (nothing doubles) and removed so that the file is what it was, to the byte.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from pathlib import Path

from mambaops.core.errors import UsageError
from mambaops.core.process import which
from mambaops.system.files import only_one, read_bytes, replace_bytes

SHELLS = ("bash", "zsh", "fish")
# what the block had to add besides itself is written into its first line, for its removal
_START, _END = "# >>> mambaops cuda", "# <<< mambaops cuda <<<"
_BLOCK = re.compile(
    rb"# >>> mambaops cuda(?P<made>[ a-z-]*)>>>\n.*?# <<< mambaops cuda <<<\n", re.DOTALL
)


def find_home(home: str, env: Mapping[str, str]) -> Path:
    """The toolkit that was named, else `CUDA_HOME`'s, PATH's nvcc's, or /usr/local/cuda.

    Raises:
        UsageError: what was named (or nothing that was looked at) holds no `bin/nvcc`.
    """
    on_path = which("nvcc", path=env.get("PATH"))
    places = [env.get("CUDA_HOME", ""), str(on_path.parent.parent) if on_path else ""]
    looked = [home] if home else [*filter(None, places), "/usr/local/cuda"]
    for place in looked:
        if (Path(place) / "bin" / "nvcc").is_file():
            return Path(place).absolute()
    raise UsageError(
        f"no bin/nvcc in {', '.join(looked)}", hint="name the toolkit: --home /usr/local/cuda-12.8"
    )


def exports(home: Path, shell: str) -> str:
    """The lines that a shell needs; read twice, they change nothing. Pure but for one look at `lib64`.

    An empty `LD_LIBRARY_PATH` gets no trailing colon: that would mean the current folder.

    Raises:
        UsageError: a shell that we do not know.
    """
    library = "lib64" if (home / "lib64").is_dir() or not (home / "lib").is_dir() else "lib"
    if shell == "fish":
        return _fish(str(home), library)
    if shell not in SHELLS:
        raise UsageError(f"shell `{shell}` is not known; known: {', '.join(SHELLS)}")
    return (
        f"export CUDA_HOME={shlex.quote(str(home))}\n"
        'case ":$PATH:" in *":$CUDA_HOME/bin:"*) ;; '
        '*) export PATH="$CUDA_HOME/bin:$PATH" ;; esac\n'
        f'case ":${{LD_LIBRARY_PATH:-}}:" in *":$CUDA_HOME/{library}:"*) ;; '
        f'*) export LD_LIBRARY_PATH="$CUDA_HOME/{library}${{LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}}" ;; '
        "esac\n"
    )


def _fish(home: str, library: str) -> str:
    quoted = "'" + home.replace("\\", "\\\\").replace("'", "\\'") + "'"
    return (
        f"set -gx CUDA_HOME {quoted}\n"
        "contains -- $CUDA_HOME/bin $PATH; or set -gx PATH $CUDA_HOME/bin $PATH\n"
        f'contains -- $CUDA_HOME/{library} (string split : -- "$LD_LIBRARY_PATH"); or '
        f"set -gx LD_LIBRARY_PATH (string join : -- $CUDA_HOME/{library} $LD_LIBRARY_PATH)\n"
    )


def with_block(content: bytes | None, lines: str) -> bytes:
    """The file with the block in it: replaced where it stands, else at the end. Pure."""
    if content is not None and (found := _BLOCK.search(content)):
        return (
            content[: found.start()]
            + _block(found["made"].decode(), lines)
            + content[found.end() :]
        )
    if content is None:
        return _block(" new-file ", lines)
    joint = b"" if not content or content.endswith(b"\n") else b"\n"
    return content + joint + _block(" new-line " if joint else " ", lines)


def _block(made: str, lines: str) -> bytes:
    return f"{_START}{made}>>>\n{lines}{_END}\n".encode()


def without_block(content: bytes) -> bytes | None:
    """The file as it was before the block; None where the block had made the file. Pure.

    Raises:
        UsageError: there is no block in it.
    """
    found = _BLOCK.search(content)
    if found is None:
        raise UsageError("there is no block of mambaops in it: nothing to remove")
    before, made = content[: found.start()], found["made"]
    if b"new-line" in made and before.endswith(b"\n"):
        before = before[:-1]
    rest = before + content[found.end() :]
    return None if b"new-file" in made and not rest else rest


def write(path: Path, home: Path, shell: str) -> bool:
    """Put the block into a start-up file; False where it says that already.

    Raises:
        MambaopsError: the file cannot be read or written; it is as it was.
    """
    lines = exports(home, shell)
    with only_one(path):
        before = read_bytes(path)
        after = with_block(before, lines)
        if after == before:
            return False
        replace_bytes(path, after)
    return True


def remove(path: Path) -> None:
    """Take the block out again; a file that holds nothing else and was made for it goes too.

    Raises:
        UsageError: no such file, or no block in it.
        MambaopsError: it cannot be written; it is as it was.
    """
    content = read_bytes(path)
    if content is None:
        raise UsageError(f"{path} is not there")
    with only_one(path):
        after = without_block(content)
        if after is None:
            path.resolve().unlink()
        else:
            replace_bytes(path, after)


def shell_of(env: Mapping[str, str]) -> str:
    """The person's shell by `SHELL`; bash where that is none that we know."""
    name = Path(env.get("SHELL", "")).name
    return name if name in SHELLS else "bash"
