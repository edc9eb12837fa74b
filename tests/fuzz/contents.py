"""The files that drawn command lines name: whole ones, and every way in which one can be wrong."""

from __future__ import annotations

import gzip
import io
import json
import lzma
import os
import random
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import yaml

from mambaops.core.paths import data_dir

SPECIAL = [
    "pipe",
    "loop",
    "dangling",
    "folder",
    "secret",
    "empty",
    "noise",
    "ro",
    "no-such",
    "socket",
]
PROFILES = ["./changed.yaml", "./dates.yaml", "./deep.yaml", "./surrogate.yaml", "./aliases.yaml", "./itself.yaml",
            "./keys.yaml", "./bytes.yaml", "./tags.yaml", "./utf16.yaml", "./mine.yaml", "./list.yaml",
            *(f"./{one}" for one in SPECIAL), "./pipe.yaml", "./folder.yaml"]  # fmt: skip
FACTS = [
    "machine.json",
    "changed.json",
    "deep.json",
    "surrogate.json",
    "list.json",
    "nan.json",
    *SPECIAL,
]
PACKAGES = [
    "./mine.toml",
    "./changed.toml",
    "./deep.toml",
    "./pipe.toml",
    "./folder.toml",
    *SPECIAL,
]
LOGS = ["build.log", "noise.log", "utf16.log", "long.log", *SPECIAL]
WHEELS = [
    f"{stem}-1.0-py3-none-any.whl"
    for stem in ("x", "cut", "flipped", "nothing", "torn", "pipe", "folder")
]
WHEELS += ["*.whl", "x.whl", "y-1.0.whl", *SPECIAL]
TEXTS = ["requirements.txt", "odd.txt", "script.sh", "cut.tar.gz", "bomb.tar.xz", "table.csv"]
EVERY = [*PROFILES, *FACTS, *PACKAGES, *LOGS, *WHEELS, *TEXTS]
VALUES: list[Any] = [None, True, -1, 0, 10**40, 1.5, "", "x", "日本", "a\nb", "../../x", "n" * 300, "\u0000", [], [[]], {},
                     {"a": {"b": 1}}, ["x"], [None], "9.0", "99.9", "${HOME}", "~/x", "x; touch y"]  # fmt: skip


def fill(folder: Path, rng: random.Random, facts: dict[str, Any]) -> None:
    """Put all of them into a folder."""
    for name, data in (_texts(rng, facts) | _archives(rng)).items():
        (folder / name).write_bytes(data)
    _special(folder)


def _texts(rng: random.Random, facts: dict[str, Any]) -> dict[str, bytes]:
    profile = rng.choice(sorted(data_dir("env_profiles").glob("*.yaml"))).read_text("utf-8")
    package = (
        data_dir("env_profiles").parent / "src/mambaops/knowledge/packages/mamba-ssm.toml"
    ).read_text("utf-8")
    noise = rng.randbytes(3000)
    raw = yaml.safe_load(profile)
    found: dict[str, str | bytes] = {
        "mine.yaml": profile,
        "changed.yaml": yaml.safe_dump(changed(raw, rng), allow_unicode=True),
        "dates.yaml": profile.replace("title:", "title: 2024-01-01 #") + "\nwhy: {2024-01-01: x}\n",
        "deep.yaml": "a: " + "[" * 5000 + "]" * 5000,
        "surrogate.yaml": profile + '\nwhy: {"name": "\\ud800"}\n',
        "aliases.yaml": "a0: &a0 [x]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 12)),
        "itself.yaml": "&a {name: *a, packages: {*a : *a}}",
        "keys.yaml": "? [a, b]\n: c\n? {x: y}\n: z\n1: 2\nnull: 3\n",
        "bytes.yaml": b"name: \xff\xfe\x00",
        "tags.yaml": "name: !!python/object/apply:os.system ['true']\nx: !!binary |\n  x\n",
        "utf16.yaml": profile.encode("utf-16"),
        "list.yaml": "[]",
        "machine.json": json.dumps(facts),
        "changed.json": json.dumps(changed(facts, rng)),
        "deep.json": "[" * 50000,
        "surrogate.json": json.dumps(facts | {"config": {"x": "\ud800"}}),
        "list.json": "[]",
        "nan.json": '{"host": NaN}',
        "mine.toml": package,
        "changed.toml": _cut_lines(package, rng),
        "deep.toml": "a = " + "[" * 5000,
        "build.log": "x.cpp:1:10: fatal error: Python.h: No such file or directory\n",
        "noise.log": noise,
        "utf16.log": "error: x\n".encode("utf-16"),
        "long.log": "e" * 300_000 + "\n" + "error: x\n" * 2000,
        "requirements.txt": "torch==1.0\npackaging\n-r requirements.txt\n",
        "odd.txt": rng.choice(["-r pipe", "-e .", "x @ file:///no", "a[b,c]>=1;x", "\u0000", "-c loop", "é" * 99, "--hash"]),
        "script.sh": b"#!/bin/sh\r\necho hello\r\n",
        "table.csv": rng.choice(["image,caption\nx.png,y\n", "a,b\n\"", "\u0000,", ""]),
        "noise": noise,
        "empty": b"",
        "file": "x",
    }  # fmt: skip
    return {
        name: text.encode("utf-8", "replace") if isinstance(text, str) else text
        for name, text in found.items()
    }


def changed(value: Any, rng: random.Random) -> Any:
    """The same with one thing replaced, taken out or put in, somewhere."""
    if isinstance(value, dict) and value and rng.random() < 0.85:
        key = rng.choice(sorted(value))
        return {**value, key: changed(value[key], rng)}
    if isinstance(value, dict) and rng.random() < 0.5:
        return {**value, rng.choice(["extra", "日本", "name", ""]): rng.choice(VALUES)}
    if isinstance(value, list) and value and rng.random() < 0.7:
        place = rng.randrange(len(value))
        return [*value[:place], changed(value[place], rng), *value[place + 1 :]]
    return rng.choice(VALUES)


def _cut_lines(text: str, rng: random.Random) -> str:
    lines = text.splitlines()
    place = rng.randrange(len(lines))
    lines[place] = rng.choice(
        ["", "x = 2024-01-01", "x = {a = [}", lines[place].partition("=")[0] + "= 12"]
    )
    return "\n".join(lines)


def _archives(rng: random.Random) -> dict[str, bytes]:
    whole = _wheel()
    flipped = bytearray(whole)
    for _ in range(rng.randint(1, 8)):
        flipped[rng.randrange(len(flipped))] = rng.randrange(256)
    cut = whole[: rng.randrange(1, len(whole))]
    tar = _tar()
    return {
        "x-1.0-py3-none-any.whl": whole,
        "flipped-1.0-py3-none-any.whl": bytes(flipped),
        "cut-1.0-py3-none-any.whl": cut,
        "nothing-1.0-py3-none-any.whl": b"",
        "torn-1.0-py3-none-any.whl": whole[-rng.randrange(22, len(whole)) :],
        "x.whl": whole,
        "y-1.0.whl": rng.randbytes(300),
        "cut.tar.gz": gzip.compress(tar)[: rng.randrange(1, 200)],
        "bomb.tar.xz": lzma.compress(tar + b"\0" * rng.randrange(100_000)),
    }


def _wheel() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x.py", "x = 1\n" * 50)
        archive.writestr("x.so", b"\x7fELF" + bytes(range(256)) * 4)
        archive.writestr(
            "x-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: x\nVersion: 1.0\n"
        )
        archive.writestr(
            "x-1.0.dist-info/WHEEL",
            "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        )
        archive.writestr(
            "x-1.0.dist-info/RECORD",
            "x.py,,\nx.so,,\nx-1.0.dist-info/METADATA,,\nx-1.0.dist-info/WHEEL,,\nx-1.0.dist-info/RECORD,,\n",
        )
    return out.getvalue()


def _tar() -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name in ("tree/setup.py", "../outside", "/absolute"):
            info = tarfile.TarInfo(name)
            info.size = 3
            archive.addfile(info, io.BytesIO(b"x=1"))
    return out.getvalue()


def _special(folder: Path) -> None:
    """What is no file, or one that cannot be read."""
    for name in ("pipe", "pipe.yaml", "pipe.toml", "pipe-1.0-py3-none-any.whl"):
        os.mkfifo(folder / name)
    (folder / "loop").symlink_to("loop")
    (folder / "dangling").symlink_to("no-such-target")
    for name in (
        "folder",
        "folder.yaml",
        "folder.toml",
        "folder-1.0-py3-none-any.whl",
        "ro",
        "tree",
        "home",
        "tmp",
    ):
        (folder / name).mkdir()
    (folder / "tree" / "setup.py").write_text("from setuptools import setup\nsetup()\n")
    (folder / "secret").write_text("x")
    (folder / "secret").chmod(0)
    (folder / "ro").chmod(0o555)
