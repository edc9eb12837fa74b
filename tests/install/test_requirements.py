"""Requirements files: read as people write them, installed without what would replace torch."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from mambaops.core.errors import MambaopsError, UsageError
from mambaops.install.encoding import decode
from mambaops.install.installers import TargetEnvironment, read_environment
from mambaops.install.requirements import install_requirements
from mambaops.install.requirements_file import name_in_address, read_lines
from mambaops.install.selection import select
from mambaops.install.wheels import install_wheels


@pytest.fixture(scope="module")
def clean_env(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("env") / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    return folder


@pytest.fixture
def env(clean_env, make_wheel, monkeypatch) -> Path:
    """An environment with torch, numpy and transformers of certain versions, and nothing else."""
    for name in list(os.environ):
        if name.startswith("PIP_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_CACHE_DIR", "1")
    python = clean_env / "bin/python"
    extra = sorted(set(read_environment(python).installed) - {"torch", "numpy", "transformers"})
    if extra:
        argv = [sys.executable, "-m", "pip", "--python", python, "uninstall", "-qy", *extra]
        subprocess.run(argv, check=True)
    wheels = [
        make_wheel("torch", "2.13.0+cpu"),
        make_wheel("numpy", "2.4.6"),
        make_wheel("transformers", "5.23.0"),
    ]
    install_wheels(wheels, python)
    return python


def write(path: Path, text: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def lines_of(path: Path, **environ: str) -> list[tuple[int, str, str | None]]:
    return [(line.number, line.text, line.name) for line in read_lines(path, environ=environ)]


def environment(**versions: str) -> TargetEnvironment:
    from mambaops.install.installers import Installed

    here = read_environment(Path(sys.executable))
    installed = {name: Installed(version=v, location="/x") for name, v in versions.items()}
    return TargetEnvironment(
        **{
            **{field: getattr(here, field) for field in here.__struct_fields__},
            "installed": installed,
            "visible": installed,
        }
    )


TORCH = {"torch": "2.13.0+cu130", "numpy": "2.4.6", "transformers": "5.23.0", "triton": "3.7.1"}

# line -> (what is handed on, why it is left out)
JUDGED = {
    "torch==1.13.1": ("", "asks for ==1.13.1"),
    "Torch == 2.13.0": ("Torch == 2.13.0", None),
    "torch": ("torch", None),
    "torch>=2.0": ("torch>=2.0", None),
    "torch>=2.0,<2.1": ("", "2.13.0+cu130"),
    "numpy==1.24.4": ("", "numpy 2.4.6"),
    "numpy<2": ("", "asks for <2"),
    "transformers[torch]==4.30": ("transformers[torch]", "asks for ==4.30"),
    "transformers[sentencepiece,torch]<5; python_version > '3'": (
        'transformers[sentencepiece,torch]; python_version > "3"',
        "asks for <5",
    ),
    "triton==2.0.0": ("", "triton 3.7.1"),
    "torchvision==0.15.0": ("torchvision==0.15.0", None),
    "torch==1.13.1; python_version < '3.0'": ("torch==1.13.1; python_version < '3.0'", None),
    "torch==1.13.1; sys_platform == 'linux'": ("", "asks for ==1.13.1"),
    "torch @ https://x.test/torch-2.0.0%2Bcu117-cp39-cp39-linux_x86_64.whl": ("", "the address"),
    "https://x.test/torch-2.0.0%2Bcu117-cp39-cp39-linux_x86_64.whl": ("", "the address"),
    "git+https://x.test/pytorch.git@v2.0#egg=torch": ("", "the address"),
    "-e git+https://x.test/transformers#egg=transformers": ("", "the address"),
    "-e git+https://x.test/mine#egg=mine": ("-e git+https://x.test/mine#egg=mine", None),
    "git+https://x.test/mine": ("git+https://x.test/mine", None),
    "six==1.16.0": ("six==1.16.0", None),
    "--pre": ("--pre", None),
    "--extra-index-url https://x.test/whl/cu117": (
        "--extra-index-url https://x.test/whl/cu117",
        None,
    ),
    "-i https://x.test/simple": ("--index-url https://x.test/simple", None),
}


@pytest.mark.parametrize("text", JUDGED)
def test_each_line_is_judged(text, tmp_path):
    handed_on, reason = JUDGED[text]
    lines = read_lines(write(tmp_path / "r.txt", text + "\n"), environ={})
    selection = select(lines, environment(**TORCH))
    assert selection.lines == ((handed_on,) if handed_on else ())
    if reason is None:
        assert selection.left_out == ()
    else:
        (left_out,) = selection.left_out
        assert reason in left_out.reason
        assert left_out.where == f"{tmp_path}/r.txt:1"
        assert left_out.instead == handed_on


def test_what_is_not_installed_is_not_replaced(tmp_path):
    lines = read_lines(write(tmp_path / "r.txt", "torch==1.13.1\n"), environ={})
    assert select(lines, environment()).lines == ("torch==1.13.1",)


def test_keep_hands_a_name_on_and_does_not_bind_it(tmp_path):
    lines = read_lines(write(tmp_path / "r.txt", "numpy<2\ntorch==1.0\n"), environ={})
    selection = select(lines, environment(**TORCH), keep=["NumPy"])
    assert selection.lines == ("numpy<2",)
    assert "torch==2.13.0+cu130" in selection.constraints
    assert not any(bound.startswith("numpy") for bound in selection.constraints)


def test_torchs_cuda_libraries_are_bound_too(tmp_path):
    versions = {**TORCH, "nvidia-cudnn-cu13": "9.20.0.48", "mamba-ssm": "2.3.2", "six": "1.0"}
    found = {name.replace("_", "-"): version for name, version in versions.items()}
    assert select([], environment(**found)).constraints == (
        "mamba-ssm==2.3.2",
        "numpy==2.4.6",
        "nvidia-cudnn-cu13==9.20.0.48",
        "torch==2.13.0+cu130",
        "transformers==5.23.0",
        "triton==3.7.1",
    )


def test_includes_constraints_comments_variables_and_continued_lines(tmp_path):
    write(tmp_path / "sub/more.txt", "-c bounds.txt\nfrom-${NAME}\nfrom-${UNSET}\n")
    write(tmp_path / "sub/bounds.txt", "numpy==1.24.4\nsix<2\n")
    path = write(
        tmp_path / "r.txt",
        "# a comment\n\nsix \\\n  ==1.16.0 \\\n  --hash=sha256:ab \\\n  --hash=sha256:cd\n"
        "einops  # why\n-r sub/more.txt\n--requirement=sub/more.txt\ngit+https://x.test/a#egg=a\n",
    )
    wanted = [
        (1, "numpy==1.24.4", "numpy"),
        (2, "six<2", "six"),
        (2, "from-here", "from-here"),
    ]
    lines = lines_of(write(tmp_path / "sub/more.txt", "-c bounds.txt\nfrom-${NAME}\n"), NAME="here")
    assert lines == wanted
    assert lines_of(path, NAME="here") == [
        (3, "six   ==1.16.0   --hash=sha256:ab   --hash=sha256:cd", "six"),
        (7, "einops", "einops"),
        *wanted,
        *wanted,
        (10, "git+https://x.test/a#egg=a", "a"),
    ]
    selection = select(read_lines(path, environ={"NAME": "here"}), environment(**TORCH))
    assert "six<2" in selection.constraints
    assert "numpy==1.24.4" not in selection.constraints
    assert {one.name for one in selection.left_out} == {"numpy"}


@pytest.mark.parametrize(
    ("encoding", "mark"),
    [
        ("utf-8", b""),
        ("utf-8", b"\xef\xbb\xbf"),
        ("utf-16-le", b"\xff\xfe"),
        ("utf-16-be", b"\xfe\xff"),
        ("utf-16-le", b""),
        ("utf-32-le", b"\xff\xfe\0\0"),
        ("gbk", b""),
    ],
)
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_files_of_other_editors(encoding, mark, newline, tmp_path):
    text = newline.join(["# 依赖", "torch==1.13.1  # 不要", "six==1.16.0", ""])
    path = write(tmp_path / "r.txt", mark + text.encode(encoding))
    said: list[str] = []
    lines = read_lines(path, environ={}, say=said.append)
    assert [(line.number, line.text) for line in lines] == [
        (2, "torch==1.13.1"),
        (3, "six==1.16.0"),
    ]
    assert bool(said) == (encoding != "utf-8")


def test_a_file_may_say_its_encoding():
    data = "# -*- coding: gbk -*-\n# 说明\nsix\n".encode("gbk")
    assert decode(data, "r.txt")[1] == "gbk"
    with pytest.raises(UsageError, match="no text in nonsense"):
        decode(b"# coding: nonsense\nsix\n", "r.txt")


BAD = {
    "pytorch=2.0.0=py3.9_cuda11.7": "conda's spelling",
    "torch==": "a line is",
    "numpy 1.24.4": "pip freeze",
    "six @": "a line is",
    "pip install six": "only the names",
    "--unknown x": "known are",
    "-r": "",
    "-r missing.txt": "",
    "-r https://x.test/r.txt": "fetch it",
    "a b c": "a line is",
    "torch>=2;python_version<<3": "a line is",
}


@pytest.mark.parametrize("text", BAD)
def test_a_bad_line_is_an_error_with_its_number(text, tmp_path):
    path = write(tmp_path / "r.txt", f"six\n\n{text}\n")
    with pytest.raises(UsageError, match=r"r\.txt:3: ") as caught:
        read_lines(path, environ={})
    assert BAD[text] in caught.value.hint


def test_a_file_that_includes_itself(tmp_path):
    write(tmp_path / "a.txt", "-r b.txt\n")
    write(tmp_path / "b.txt", "-r a.txt\n")
    with pytest.raises(UsageError, match=r"includes itself: .*a\.txt -> .*b\.txt -> .*a\.txt"):
        read_lines(tmp_path / "a.txt", environ={})


def test_names_in_addresses():
    assert name_in_address("https://x.test/torch-2.0.0.tar.gz") == "torch"
    assert (
        name_in_address("git+ssh://git@x.test/y.git#subdirectory=z&egg=Torch_Audio")
        == "torch-audio"
    )
    assert name_in_address("./wheels/numpy-1.24.4-cp39-cp39-linux_x86_64.whl") == "numpy"
    assert name_in_address("git+https://x.test/pytorch") is None
    assert name_in_address("./folder") is None


@pytest.mark.parametrize("installer", ["pip", "uv"])
def test_torch_stays_what_it_is(installer, env, index, make_wheel, tmp_path, monkeypatch):
    """Directly, and by way of a dependency that would take the newest."""
    if installer == "uv":
        # neither the environment nor the Python that runs mambaops has pip
        without_pip = tmp_path / "python"
        without_pip.write_text("#!/bin/sh\necho No module named pip >&2\nexit 1\n")
        without_pip.chmod(0o755)
        monkeypatch.setattr(sys, "executable", str(without_pip))
    index.publish(
        make_wheel("torch", "2.99.0"),
        make_wheel("torch", "1.13.1"),
        make_wheel("numpy", "2.99.0"),
        make_wheel("numpy", "1.24.4"),
        make_wheel("layers", "1.0", requires=["torch>=2.0", "numpy"]),
        make_wheel("layers", "2.0", requires=["torch>=2.50"]),
    )
    path = write(tmp_path / "r.txt", "torch==1.13.1\nnumpy==1.24.4\nlayers\n")
    said: list[str] = []
    outcome = install_requirements(path, env, index_url=index.url, say=said.append)
    assert outcome.changed == {"layers": ("", "1.0")}
    assert [one.name for one in outcome.left_out] == ["torch", "numpy"]
    assert f"left out: `torch==1.13.1` ({path}:1)" in said[0]
    after = read_environment(env).installed
    assert (after["torch"].version, after["numpy"].version) == ("2.13.0+cpu", "2.4.6")


def test_a_package_that_cannot_live_with_this_torch_is_an_error(env, index, make_wheel, tmp_path):
    index.publish(make_wheel("torch", "1.13.1"), make_wheel("old", requires=["torch<2"]))
    path = write(tmp_path / "r.txt", "old\n")
    with pytest.raises(MambaopsError, match="torch<2") as caught:
        install_requirements(path, env, index_url=index.url)
    assert "torch==2.13.0+cpu" in caught.value.hint
    assert "--keep" in caught.value.hint


def test_keep_lets_it_be_replaced(env, index, make_wheel, tmp_path):
    index.publish(make_wheel("numpy", "1.24.4"))
    path = write(tmp_path / "r.txt", "numpy==1.24.4\n")
    outcome = install_requirements(path, env, index_url=index.url, keep=["numpy"])
    assert outcome.changed == {"numpy": ("2.4.6", "1.24.4")}


def test_the_given_index_wins_over_the_files_own(env, index, make_wheel, tmp_path):
    index.publish(make_wheel("small"))
    path = write(tmp_path / "r.txt", "--index-url https://no-such-host.invalid/simple\nsmall\n")
    outcome = install_requirements(path, env, index_url=index.url)
    assert outcome.changed == {"small": ("", "1.0")}
    assert outcome.left_out[0].name == "--index-url"


def test_hashes_are_still_demanded(env, index, make_wheel, tmp_path):
    from mambaops.core.files import sha256_of

    wheel = make_wheel("small", requires=["numpy"])
    digest = sha256_of(wheel)
    index.publish(wheel)
    text = f"small==1.0 --hash=sha256:{digest}\nnumpy==1.24.4 --hash=sha256:{digest}\n"
    path = write(tmp_path / "r.txt", text)
    outcome = install_requirements(path, env, index_url=index.url)
    assert outcome.changed == {"small": ("", "1.0")}
    write(path, text.replace(digest, "0" * 64).replace("small", "small2"))
    other = make_wheel("small2")
    index.publish(other)
    with pytest.raises(MambaopsError, match=r"(?i)hash"):
        install_requirements(path, env, index_url=index.url)


def test_a_dry_run_changes_nothing(env, index, make_wheel, tmp_path):
    index.publish(make_wheel("small"))
    path = write(tmp_path / "r.txt", "torch==1.0\nsmall\n")
    before = read_environment(env).installed
    outcome = install_requirements(path, env, index_url=index.url, dry_run=True)
    assert outcome.dry_run
    assert outcome.lines == ("small",)
    assert read_environment(env).installed == before


def test_relative_paths_are_meant_from_here(env, make_wheel, tmp_path, monkeypatch):
    wheel = make_wheel("local")
    monkeypatch.chdir(tmp_path)
    path = write(tmp_path / "r.txt", f"./{wheel.relative_to(tmp_path)}\n--no-index\n")
    assert install_requirements(path, env).changed == {"local": ("", "1.0")}


@pytest.mark.network
def test_the_configured_index_serves_it(clean_env, tmp_path):
    path = write(tmp_path / "r.txt", "six==1.17.0\n")
    outcome = install_requirements(path, clean_env / "bin/python")
    assert outcome.changed.get("six") == ("", "1.17.0")
