"""Files of every kind, the printed text, the report, and the command."""

import bz2
import gzip
import json
import lzma
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from recorded import path_of

from mambaops.core.errors import UsageError
from mambaops.diagnose import command
from mambaops.diagnose.explain import explain_log
from mambaops.diagnose.redaction import mask
from mambaops.diagnose.report import write_report

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

FAILURE = "RuntimeError: mamba_ssm is only supported on CUDA 11.6 and above.\n"


def mambaops(*words: str, cwd: Path, stdin: str = "") -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "MAMBAOPS_HOME": str(cwd / "state")}
    argv = [sys.executable, "-m", "mambaops", *words]
    return subprocess.run(
        argv, check=False, cwd=cwd, env=env, input=stdin, capture_output=True, text=True
    )


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_encodings(tmp_path: Path, encoding: str) -> None:
    log = tmp_path / "build.log"
    log.write_bytes(f"日志\n{FAILURE}".encode(encoding))
    found = explain_log(log).diagnosis
    assert [(one.rule, one.line_number) for one in found.findings] == [("cuda-too-old-11-6", 2)]
    assert (found.verdict, found.notes) == ("failed", [])


PACKERS = {"gz": gzip.compress, "zst": zstd.compress, "xz": lzma.compress, "bz2": bz2.compress}


@pytest.mark.parametrize("pack", PACKERS.values(), ids=PACKERS)
def test_a_packed_log_is_read_whatever_its_name(
    tmp_path: Path, pack: Callable[[bytes], bytes]
) -> None:
    log = tmp_path / "build.log"
    log.write_bytes(pack(b"fine\n") + pack(FAILURE.encode()))
    found = explain_log(log).diagnosis
    assert [(one.rule, one.line_number) for one in found.findings] == [("cuda-too-old-11-6", 2)]


@pytest.mark.parametrize("pack", PACKERS.values(), ids=PACKERS)
def test_a_packed_log_that_is_cut_is_said(tmp_path: Path, pack: Callable[[bytes], bytes]) -> None:
    log = tmp_path / "build.log.gz"
    noise = "".join(f"{number * number} {number**7}\n" for number in range(50_000))
    log.write_bytes(pack(noise.encode())[:-20_000])
    found = explain_log(log).diagnosis
    assert found.verdict == "cannot-tell"
    assert "the packed log is cut: only what is before the cut is read" in found.notes


@pytest.mark.parametrize("pack", PACKERS.values(), ids=PACKERS)
def test_a_packed_log_that_is_damaged_is_said(
    tmp_path: Path, pack: Callable[[bytes], bytes]
) -> None:
    log = tmp_path / "build.log.gz"
    whole = pack(b"Successfully installed x-1\n" * 5)
    log.write_bytes(whole[:12] + b"\xff" * 40)
    found = explain_log(log).diagnosis
    assert found.verdict == "cannot-tell"
    assert any("only what is before" in note for note in found.notes)


@pytest.mark.parametrize(
    ("data", "note"),
    [
        (b"", "the log is empty"),
        (bytes(range(256)) * 40, "the log looks like binary data and not like text"),
        (b"Collecting x\n  Downlo", "the log ends in the middle of a line"),
    ],
)
def test_what_tells_nothing_is_said(tmp_path: Path, data: bytes, note: str) -> None:
    log = tmp_path / "build.log"
    log.write_bytes(data)
    found = explain_log(log)
    assert found.diagnosis.verdict == "cannot-tell"
    assert note in found.diagnosis.notes
    assert f"  note: {note}" in found.text().splitlines()


def test_binary_junk(tmp_path: Path) -> None:
    log = tmp_path / "core"
    log.write_bytes(os.urandom(300_000) + b"\n" + FAILURE.encode() + os.urandom(1000))
    assert [f.rule for f in explain_log(log).diagnosis.findings] == ["cuda-too-old-11-6"]


def test_a_missing_log_is_a_users_mistake(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        explain_log(tmp_path / "none.log")


def test_the_text_has_cause_cure_and_what_does_not_help(tmp_path: Path) -> None:
    log = tmp_path / "build.log"
    log.write_text("x\n" + FAILURE)
    first, second, *rest = explain_log(log).text().splitlines()
    assert first == "failed: the nvcc that was found is older than CUDA 11.6 [cuda-too-old-11-6]"
    assert second.startswith("do: `mambaops install-toolkit`: ")
    assert "  line 2: RuntimeError: mamba_ssm is only supported" in "\n".join(rest)
    assert any(line.startswith("  does not help: editing the check") for line in rest)


def test_harmless_lines_and_consequences_are_shown_when_asked_for(tmp_path: Path) -> None:
    log = tmp_path / "build.log"
    log.write_text(
        "No CUDA runtime is found, using CUDA_HOME='/usr/local/cuda'\n"
        + FAILURE
        + "RuntimeError: Error compiling objects for extension\n"
    )
    found = explain_log(log)
    assert "harmless" not in found.text() and "follows from it" not in found.text()
    text = found.text(everything=True)
    assert "harmless: no GPU is visible while building [no-cuda-runtime-benign]" in text
    assert "follows from it: line 3: RuntimeError: Error compiling objects" in text


def test_a_line_is_no_consequence_of_itself(tmp_path: Path) -> None:
    log = tmp_path / "build.log"
    log.write_text("ImportError: x.so: undefined symbol: _ZN3c104cuda9SetDeviceEi\n")
    assert "follows" not in explain_log(log).text(everything=True)


def test_json_has_the_promised_shape(tmp_path: Path) -> None:
    done = mambaops("diagnose", "--log", "-", "--json", cwd=tmp_path, stdin=FAILURE)
    value = json.loads(done.stdout)
    assert done.returncode == 1
    assert {"rule", "line", "line_number", "cause", "fix", "benign"} <= set(value["findings"][0])
    assert value["findings"][0]["rule"] == "cuda-too-old-11-6"
    assert value["findings"][0]["line_number"] == 1
    assert value["findings"][0]["benign"] is False
    assert value["first_error"].startswith("RuntimeError")


UNKNOWN = "x.cpp:3:1: error: strange\n"


@pytest.mark.parametrize("words", [[], ["--json"]])
def test_an_unknown_failure_writes_nothing_unasked(tmp_path: Path, words: list[str]) -> None:
    (tmp_path / "build.log").write_text(UNKNOWN)
    done = mambaops("diagnose", "--log", "build.log", *words, cwd=tmp_path)
    assert done.returncode == 1
    assert [path.name for path in tmp_path.iterdir()] == ["build.log"]
    assert "mambaops diagnose --log build.log --report`" in done.stderr


def test_a_report_that_is_asked_for_lies_among_our_own(tmp_path: Path) -> None:
    (tmp_path / "build.log").write_text(UNKNOWN)
    done = mambaops("diagnose", "--log", "build.log", "--json", "--report", cwd=tmp_path)
    value = json.loads(done.stdout)
    assert (done.returncode, value["findings"]) == (1, [])
    assert value["first_error"] == "x.cpp:3:1: error: strange"
    (report,) = (tmp_path / "state" / "reports").glob("*.md")
    assert str(report) in done.stderr
    assert "1: x.cpp:3:1: error: strange" in report.read_text()


def test_a_report_replaces_a_report_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "build.log").write_text(UNKNOWN)
    words = ["diagnose", "--log", "build.log", "--report"]
    assert mambaops(*words, "mine.md", cwd=tmp_path).returncode == 1
    assert mambaops(*words, "mine.md", cwd=tmp_path).returncode == 1
    done = mambaops(*words, "build.log", cwd=tmp_path)
    assert (done.returncode, "mambaops did not write it" in done.stderr) == (2, True)
    assert (tmp_path / "build.log").read_text() == UNKNOWN


def older_run(folder: Path) -> Path:
    """A log that an earlier run has left."""
    log = folder / "state" / "runs" / "20260101-000000-local" / "verify.log"
    log.parent.mkdir(parents=True)
    log.write_text("all is well\n")
    return log


def test_the_pipe_wins(tmp_path: Path) -> None:
    older_run(tmp_path)
    done = mambaops("diagnose", cwd=tmp_path, stdin=FAILURE)
    assert (done.returncode, "[cuda-too-old-11-6]" in done.stdout) == (1, True)


def test_an_empty_pipe_is_said_and_nothing_else_is_read(tmp_path: Path) -> None:
    log = older_run(tmp_path)
    done = mambaops("diagnose", cwd=tmp_path, stdin="")
    assert (done.returncode, done.stdout) == (2, "")
    assert "nothing came through the pipe" in done.stderr
    assert f"mambaops diagnose --log {log}`" in done.stderr


def test_what_is_piped_in() -> None:
    reader, writer = os.pipe()
    with (
        os.fdopen(reader) as pipe,
        os.fdopen(writer, "w"),
        Path(__file__).open() as file,
        Path(os.devnull).open() as nothing,
    ):
        found = [command.is_piped(one) for one in (pipe, file, nothing, None)]
    assert found == [True, True, False, False]
    assert not command.is_piped(pipe)  # closed


def test_without_a_pipe_it_is_the_newest_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAMBAOPS_HOME", str(tmp_path / "state"))
    log = older_run(tmp_path)
    with Path(os.devnull).open() as nothing:
        assert command.log_path("", nothing) == log
        assert command.log_path("x.log", nothing) == Path("x.log")
        assert command.log_path("-", nothing) is None


def test_a_log_without_failure_exits_0(tmp_path: Path) -> None:
    done = mambaops("diagnose", "--log", "-", cwd=tmp_path, stdin="Successfully installed x-1\n")
    assert (done.returncode, done.stdout) == (
        0,
        "succeeded: stdin, 1 lines: Successfully installed x-1\n",
    )


@pytest.mark.parametrize(
    ("words", "code", "verdict"),
    [
        ([], 3, "cannot-tell"),
        (["--exit-code", "0"], 0, "succeeded"),
        (["--exit-code", "9"], 1, "failed"),
    ],
)
def test_the_verdict_is_told_in_every_way(
    tmp_path: Path, words: list[str], code: int, verdict: str
) -> None:
    done = mambaops("diagnose", "--log", "-", *words, "--json", cwd=tmp_path, stdin="working\n")
    assert (done.returncode, json.loads(done.stdout)["verdict"]) == (code, verdict)
    done = mambaops("diagnose", "--log", "-", *words, cwd=tmp_path, stdin="working\n")
    assert done.returncode == code
    assert done.stdout.startswith(verdict.replace("-", " ") + ": ")


def test_an_exit_code_that_is_none_is_refused(tmp_path: Path) -> None:
    done = mambaops("diagnose", "--log", "-", "--exit-code", "bad", cwd=tmp_path, stdin="x\n")
    assert (done.returncode, "is no number" in done.stderr) == (2, True)


def test_no_such_log_exits_2(tmp_path: Path) -> None:
    done = mambaops("diagnose", "--log", "none.log", cwd=tmp_path)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


def test_list_prints_the_catalogue(tmp_path: Path) -> None:
    done = mambaops("diagnose", "--list", cwd=tmp_path)
    assert done.returncode == 0
    assert any(line.startswith("glibc-too-old ") for line in done.stdout.splitlines())


def test_facts_of_another_machine_sharpen(tmp_path: Path) -> None:
    machine = path_of("wsl-5090-ready")
    text = "NameError: name 'bare_metal_version' is not defined\n"
    done = mambaops(
        "diagnose", "--log", "-", "--facts", str(machine), "--json", cwd=tmp_path, stdin=text
    )
    assert (
        json.loads(done.stdout)["findings"][0]["rule"] == "nvcc-present-but-isolated-torch-is-cpu"
    )


@pytest.mark.parametrize(
    ("text", "gone"),
    [
        ("--index-url https://me:hunter22@mirror.example/simple", ["hunter22", "me:"]),
        ("HF_TOKEN=hf_abcdefghijklmnopqrstuvwxyz", ["abcdefghijkl"]),
        ("export WANDB_API_KEY='0123456789abcdef'", ["0123456789abcdef"]),
        ('{"password": "open sesame"}', ["open"]),
        ("Authorization: Bearer abc.def-ghi0123", ["abc.def"]),
        ("/home/alice/project and /Users/bob/x", ["alice", "bob"]),
        (r"C:\Users\carol\AppData", ["carol"]),
        ("/mnt/c/Users/dave/x", ["dave"]),
        ("alice@gpu-node-7:~/x$ pip install", ["alice", "gpu-node-7"]),
        ("write to eve@example.org", ["eve@"]),
        ("ghp_0123456789abcdefghijABCDEFGHIJ", ["0123456789abcdef"]),
    ],
)
def test_masking(text: str, gone: list[str]) -> None:
    masked = mask(text)
    assert all(word not in masked for word in gone), masked


def test_masking_leaves_the_failure_readable() -> None:
    assert mask(FAILURE) == FAILURE
    line = "File /home/alice/venv/lib/python3.11/site-packages/torch/__init__.py"
    assert mask(line) == "File ~/venv/lib/python3.11/site-packages/torch/__init__.py"


def test_masking_of_given_words() -> None:
    assert mask("built by alice on box7", ["alice", "box7"]) == "built by *** on ***"


def test_the_report_masks_and_is_written_whole(tmp_path: Path) -> None:
    log = tmp_path / "build.log"
    log.write_text(
        "pip --index-url https://u:secret99@m.example/simple\nx.cpp:1:1: error: strange\n"
    )
    target = write_report(tmp_path / "r.md", explain_log(log), facts=None, plan="1. build", log=log)
    text = target.read_text()
    assert "secret99" not in text
    assert "1. build" in text and "error: strange" in text
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_fix_of_a_log_from_elsewhere_says_that_nothing_was_done(tmp_path: Path) -> None:
    (tmp_path / "pip.log").write_text("NameError: name 'bare_metal_version' is not defined\n")
    done = mambaops("diagnose", "pip.log", "--fix", "--json", cwd=tmp_path)
    found = json.loads(done.stdout)
    assert (done.returncode, found["verdict"]) == (1, "failed")
    assert (found["repair"]["rule"], found["repair"]["remedy"]) == (
        found["findings"][0]["rule"],
        "",
    )
    assert "this is no log of a step that failed in a run of mambaops" in done.stderr
    assert not (tmp_path / "state").exists()


def test_every_command_of_an_answer_is_as_this_person_types_it(tmp_path: Path) -> None:
    (tmp_path / "open.log").write_text("Collecting mamba-ssm\n")
    done = mambaops("diagnose", "open.log", cwd=tmp_path)
    assert done.returncode == 3
    (command,) = re.findall("`([^`]* --exit-code 1)`", done.stdout)
    again = subprocess.run(shlex.split(command), cwd=tmp_path, check=False, capture_output=True)
    assert again.returncode == 1
