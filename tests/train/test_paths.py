"""P02: Windows paths in WSL and back."""

from __future__ import annotations

from pathlib import Path

import pytest

from mambaops.payload import paths
from mambaops.payload.paths import Mapping, to_windows, to_wsl

WSL = Mapping(root="/mnt", active=True, distro="Ubuntu")


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        (r"D:\mamba", "/mnt/d/mamba"),
        (r"D:\mamba\outputs\a b.csv", "/mnt/d/mamba/outputs/a b.csv"),
        ("d:/mamba/x.png", "/mnt/d/mamba/x.png"),
        (r"C:\Users\王\图.png", "/mnt/c/Users/王/图.png"),
        ('"D:\\mamba\\x.png"', "/mnt/d/mamba/x.png"),
        (" 'd:\\x' ", "/mnt/d/x"),
        ("“D:\\x”", "/mnt/d/x"),
        ("D:\\", "/mnt/d"),
        (r"D:\a\\b/c", "/mnt/d/a/b/c"),
        (r"\\?\C:\long\x", "/mnt/c/long/x"),
        (r"\\wsl$\Ubuntu\home\me\x", "/home/me/x"),
        (r"\\wsl.localhost\Ubuntu-22.04\home\me", "/home/me"),
        ("//wsl.localhost/Ubuntu/home/me", "/home/me"),
        (r"\\server\share\x.png", r"\\server\share\x.png"),
        ("/mnt/d/already", "/mnt/d/already"),
        ("https://huggingface.co/x", "https://huggingface.co/x"),
        ("state-spaces/mamba-2.8b-hf", "state-spaces/mamba-2.8b-hf"),
        ("relative/x.png", "relative/x.png"),
    ],
)
def test_to_wsl(given: str, wanted: str) -> None:
    assert to_wsl(given, WSL) == wanted


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ("/mnt/d/mamba/x", r"D:\mamba\x"),
        ("/mnt/d", "D:\\"),
        ("/home/me/x", r"\\wsl.localhost\Ubuntu\home\me\x"),
        (r"D:\x", r"D:\x"),
        ("relative", "relative"),
    ],
)
def test_to_windows(given: str, wanted: str) -> None:
    assert to_windows(given, WSL) == wanted


def test_outside_wsl_a_drive_is_left_alone_unless_it_is_mounted(tmp_path: Path) -> None:
    outside = Mapping(root=str(tmp_path), active=False)
    assert to_wsl(r"D:\x", outside) == r"D:\x"
    (tmp_path / "d").mkdir()
    assert to_wsl(r"D:\x", outside) == f"{tmp_path}/d/x"


@pytest.mark.parametrize(
    ("conf", "root"),
    [
        ("", "/mnt"),
        ("[automount]\nroot = /windir/\n", "/windir"),
        ('[automount]\nenabled = true\n# c\noptions = "metadata,umask=22"\n', "/mnt"),
        ("[automount]\nroot = /\n", ""),
        ("[automount]\nroot=/a\nroot=/b\n", "/b"),
        ("not an ini", "/mnt"),
    ],
)
def test_automount_root(conf: str, root: str) -> None:
    assert paths.parse_automount_root(conf) == root


def test_the_system_is_read_from_its_files(tmp_path: Path) -> None:
    (tmp_path / "wsl.conf").write_text("[automount]\nroot = /drives\n")
    (tmp_path / "version").write_text("Linux version 5.15.90.1-microsoft-standard-WSL2\n")
    mapping = paths.read_mapping(str(tmp_path / "wsl.conf"), str(tmp_path / "version"))
    assert (mapping.root, mapping.active) == ("/drives", True)
    assert to_wsl("d:/x", mapping) == "/drives/d/x"


def test_paths_yaml_maps_strings_and_leaves_the_rest(tmp_path: Path) -> None:
    file = tmp_path / "paths.yaml"
    file.write_text(
        "caption_csv_train: d:/mamba/a.csv\npool_size: 12\nuse_pooling: true\n", "utf-8"
    )
    assert paths.read_paths_yaml(str(file), WSL) == {
        "caption_csv_train": "/mnt/d/mamba/a.csv",
        "pool_size": 12,
        "use_pooling": True,
    }
    file.write_text("- a\n- b\n")
    with pytest.raises(ValueError, match="not `key: value`"):
        paths.read_paths_yaml(str(file), WSL)


def test_missing_paths_say_why() -> None:
    assert "neither" not in paths.why_missing("/nowhere/x")
    assert "down to /" in paths.why_missing("/nowhere/x")
    assert "not WSL" in paths.why_missing(r"D:\x")
    assert "mount it" in paths.why_missing(r"\\server\share\x")


def test_the_program_lists_the_paths_of_a_table(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "here.png").touch()
    table = tmp_path / "t.csv"
    text = f"image_path,answer\n{tmp_path}/here.png,图\nD:\\no.png,图\n"
    table.write_bytes(text.encode("gb18030"))
    assert paths.main([str(table)]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"{tmp_path}/here.png -> {tmp_path}/here.png"
    assert "missing: " in lines[1]
