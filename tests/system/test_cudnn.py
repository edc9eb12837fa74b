"""cuDNN's version by both formulae; its archive copied safely, readable, in whole or not at all."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest
from recorded import facts_of
from standins import command, program

from mambaops.core.errors import MachineError, UsageError
from mambaops.system import cudnn

HEADER = """
#define CUDNN_MAJOR {0}
#define CUDNN_MINOR {1}
#define CUDNN_PATCHLEVEL {2}
#define CUDNN_VERSION (CUDNN_MAJOR * {3} + CUDNN_MINOR * 100 + CUDNN_PATCHLEVEL)
"""


@pytest.mark.parametrize(
    ("parts", "version", "number"),
    [((8, 9, 7, 1000), "8.9.7", 8907), ((9, 10, 1, 10000), "9.10.1", 91001)],
)
def test_both_formulae(parts: tuple[int, ...], version: str, number: int) -> None:
    found = cudnn.parse_header(HEADER.format(*parts), "h")
    assert found is not None
    assert (found.version, found.number) == (version, number)


def test_a_header_without_a_formula_goes_by_the_major_version() -> None:
    text = HEADER.format(9, 1, 0, 1).rsplit("#define", 1)[0]
    found = cudnn.parse_header(text, "h")
    assert found is not None and found.number == 90100
    assert cudnn.parse_header("#include <x.h>", "h") is None


@pytest.fixture
def home(tmp_path: Path) -> Path:
    home = tmp_path / "cuda"
    (home / "include").mkdir(parents=True)
    (home / "lib64").mkdir()
    return home


def _archive(path: Path, files: dict[str, bytes | str], *, mode: int = 0o400) -> Path:
    """A tar.xz of files; a text is a link to that name."""
    with tarfile.open(path, "w:xz") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(f"cudnn-linux-x86_64-8.9.7.29_cuda11-archive/{name}")
            member.mode = mode
            if isinstance(content, str):
                member.type, member.linkname = tarfile.SYMTYPE, content
                tar.addfile(member)
            else:
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))
    return path


def _whole(path: Path) -> Path:
    header = HEADER.format(8, 9, 7, 1000).encode()
    return _archive(
        path / "cudnn-linux-x86_64-8.9.7.29_cuda11-archive.tar.xz",
        {
            "include/cudnn_version.h": header,
            "include/cudnn.h": b"// h",
            "lib/libcudnn.so.8.9.7": b"\x7fELF",
            "lib/libcudnn.so.8": "libcudnn.so.8.9.7",
            "LICENSE": b"l",
        },
    )


def test_an_archive_is_copied_readable_with_its_links(home: Path, tmp_path: Path) -> None:
    written = cudnn.install(_whole(tmp_path), home)
    assert {str(path.relative_to(home)) for path in written} == {
        *("include/cudnn_version.h", "include/cudnn.h"),
        *("lib64/libcudnn.so.8.9.7", "lib64/libcudnn.so.8"),
    }
    assert (home / "lib64/libcudnn.so.8").resolve() == home / "lib64/libcudnn.so.8.9.7"
    assert (home / "include/cudnn.h").stat().st_mode & 0o777 == 0o644
    assert [one.version for one in cudnn.installed(home) if str(home) in one.path] == ["8.9.7"]
    cudnn.install(_whole(tmp_path), home)  # over an older one


@pytest.mark.parametrize(
    "files",
    [
        {"include/cudnn_version.h": b"", "lib/libcudnn.so": "/etc/passwd"},
        {"include/cudnn_version.h": b"", "lib/libcudnn.so": "../../x"},
        {"README": b"no cuDNN"},
    ],
)
def test_nothing_is_written_of_an_archive_that_is_not_right(
    files: dict[str, bytes | str], home: Path, tmp_path: Path
) -> None:
    with pytest.raises(UsageError):
        cudnn.install(_archive(tmp_path / "a.tar.xz", files), home)
    assert not list((home / "include").iterdir()) and not list((home / "lib64").iterdir())


def test_a_path_that_climbs_out_is_only_a_name(home: Path, tmp_path: Path) -> None:
    files = {"include/cudnn_version.h": b"x", "../../../include/cudnn_evil.h": b"e"}
    cudnn.install(_archive(tmp_path / "a.tar.xz", files), home)
    assert (home / "include" / "cudnn_evil.h").exists()
    outside = [path for path in tmp_path.rglob("cudnn_evil.h") if home not in path.parents]
    assert outside == []


def test_a_cut_off_archive_and_a_missing_one_are_said(home: Path, tmp_path: Path) -> None:
    whole = _whole(tmp_path)
    whole.write_bytes(whole.read_bytes()[:-60])
    for path, words in ((whole, "no whole tar archive|Compressed"), (tmp_path / "no", "not there")):
        with pytest.raises(UsageError, match=words):
            cudnn.install(path, home)
    assert not list((home / "include").iterdir())


def test_what_is_no_toolkit_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is no toolkit"):
        cudnn.install(_whole(tmp_path), tmp_path / "nowhere")


def test_the_archive_s_name_tells_its_cuda() -> None:
    assert cudnn.cuda_of_archive("cudnn-linux-x86_64-8.9.7.29_cuda11-archive.tar.xz") == "11"
    assert cudnn.cuda_of_archive("cudnn-11.3-linux-x64-v8.2.1.32.tgz") == "11"
    assert cudnn.cuda_of_archive("x.tar") is None


def test_an_archive_for_another_cuda_is_said(home: Path) -> None:
    nvcc = home / "bin" / "nvcc"
    nvcc.parent.mkdir()
    nvcc.write_text("#!/bin/sh\necho 'Cuda compilation tools, release 12.8, V12.8.93'\n")
    nvcc.chmod(0o755)
    assert "for CUDA 11" in cudnn.mismatch(
        "cudnn-linux-x86_64-8.9.7.29_cuda11-archive.tar.xz", home
    )
    assert cudnn.mismatch("cudnn-linux-x86_64-9.1.0.70_cuda12-archive.tar.xz", home) == ""


def test_deb_network_adds_the_repository_and_takes_the_major_version() -> None:
    commands = cudnn.deb_commands(facts_of("debian10-a800"), "12.1", "F")
    assert commands[1][-1].endswith("/debian10/x86_64/cuda-keyring_1.1-1_all.deb")
    assert commands[-1] == ["apt-get", "install", "-y", "cudnn9-cuda-12"]
    with pytest.raises(MachineError, match="no apt repository"):
        cudnn.deb_commands(facts_of("rhel8"), "12.1", "F")


def test_the_command_names_the_toolkit_s_version_or_its_absence(home: Path, tmp_path: Path) -> None:
    program(home, "nvcc", "true")
    words = ("cudnn-check", "--home", str(home))
    assert "no cuDNN" in command(tmp_path, *words).stdout
    (home / "include" / "cudnn_version.h").write_text(HEADER.format(8, 9, 7, 1000))
    done = command(tmp_path, *words)
    assert (done.returncode, "8.9.7" in done.stdout) == (0, True), done.stderr
    assert command(tmp_path, "cudnn-check", "--home", str(tmp_path / "none")).returncode == 2


def test_the_cudnn_that_a_toolkit_holds_is_not_replaced_unasked(home: Path, tmp_path: Path) -> None:
    program(home, "nvcc", "true")
    older = HEADER.format(8, 2, 1, 1000)
    (home / "include" / "cudnn_version.h").write_text(older)
    words = ("cudnn-install", "--archive", str(_whole(tmp_path)))
    for more in ((), ("--home", str(home))):
        done = command(home, *words, *more)
        assert done.returncode == 2, done.stderr
        assert (home / "include" / "cudnn_version.h").read_text() == older
    assert "holds cuDNN 8.2.1 already" in done.stderr
    assert command(home, *words, "--home", str(home), "--force").returncode == 0
    assert "8.9.7" in command(home, "cudnn-check", "--home", str(home)).stdout
