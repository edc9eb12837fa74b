"""What comes first, what follows, and what facts change."""

import msgspec
import pytest
from recorded import facts_of

from mambaops.diagnose.match import examine, match
from mambaops.diagnose.text import chunks, whole_lines
from mambaops.facts.model import Facts

MISMATCH = "RuntimeError: ('The detected CUDA version (%s) mismatches the version that was used to compilePyTorch (%s). Please make sure to use the same CUDA versions.', '13.0', '12.8')"


def machine(name: str) -> Facts:
    return facts_of(name)


def test_the_cause_comes_first_and_wrappers_follow() -> None:
    text = """\
  [1/9] /usr/local/cuda/bin/nvcc -c x.cu -o x.o
  FAILED: x.o
  nvcc fatal   : Unsupported gpu architecture 'compute_53'
  ninja: build stopped: subcommand failed.
  subprocess.CalledProcessError: Command '['ninja', '-v']' returned non-zero exit status 1.
  RuntimeError: Error compiling objects for extension
ERROR: Failed building wheel for causal-conv1d
"""
    (finding,) = match(text)
    assert (finding.rule, finding.line_number) == ("arch-removed-from-new-nvcc", 3)
    assert finding.line == "nvcc fatal   : Unsupported gpu architecture 'compute_53'"
    assert [(c.rule, c.line_number) for c in finding.consequences] == [("ninja-generic-wrapper", 5)]


def test_the_earlier_of_two_causes_comes_first() -> None:
    text = "fatal error: Python.h: No such file or directory\nlibcudart.so.12: cannot open shared object file\n"
    assert [f.rule for f in match(text)] == ["python-h-missing", "libcudart-missing"]


def test_a_wrapper_alone_says_that_the_reason_is_missing() -> None:
    (finding,) = match("RuntimeError: Error compiling objects for extension\n")
    assert finding.rule == "ninja-generic-wrapper"
    assert any("--version" in text for text in finding.not_cures)


def test_a_wrapper_does_not_hide_an_unknown_error() -> None:
    diagnosis = examine(
        iter(["a.cu(3): error: strange\nRuntimeError: Error compiling objects for extension\n"])
    )
    assert diagnosis.findings == []
    assert diagnosis.first_error == "a.cu(3): error: strange"
    assert diagnosis.first_error_line_number == 1


def test_a_missing_wheel_is_context_of_the_failure_below() -> None:
    text = "Precompiled wheel not found. Building from source...\nnvcc fatal   : Unsupported gpu architecture 'compute_53'\n"
    assert [f.rule for f in match(text)] == ["arch-removed-from-new-nvcc"]


def test_a_legacy_warning_in_a_successful_log_is_nothing() -> None:
    text = (
        "DEPRECATION: Building 'x' using the legacy setup.py bdist_wheel mechanism, which will be removed in a future version.\n"
        "Successfully installed x-1\n"
    )
    assert match(text) == []


def test_benign_lines_are_named_beside_the_cause() -> None:
    text = (
        "UserWarning: There are no g++ version bounds defined for CUDA version 11.8\n"
        "fatal error: Python.h: No such file or directory\n"
    )
    found = match(text)
    assert [(f.rule, f.benign) for f in found] == [
        ("python-h-missing", False),
        ("gxx-bounds-benign", True),
    ]


def test_triton_at_run_time_and_a_build_are_told_apart() -> None:
    at_build = match("csrc/x.cpp:5:10: fatal error: Python.h: No such file or directory\n")[0]
    at_run = match("/tmp/tmpw/main.c:5:10: fatal error: Python.h: No such file or directory\n")[0]
    assert at_build.rule == at_run.rule == "python-h-missing"
    assert "Triton" in at_run.cause and "Triton" not in at_build.cause


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("mixed-generations", "not yours"),
        ("ubuntu20-graph-mamba-glibc", "the only nvcc here"),
        ("wsl-5090-ready", "a toolkit of torch's CUDA is on this machine"),
    ],
)
def test_the_same_text_on_other_machines(name: str, words: str) -> None:
    facts = machine(name)
    if name == "ubuntu20-graph-mamba-glibc":
        facts = msgspec.structs.replace(facts, toolkits=[])
    if name == "mixed-generations":
        assert facts.torch is not None
        facts = msgspec.structs.replace(
            facts, torch=msgspec.structs.replace(facts.torch, cuda="12.4")
        )
    (finding,) = match(MISMATCH, facts)
    assert finding.rule == "cuda-major-mismatch"
    assert words in finding.cause


def test_an_isolated_torch_shows_in_the_log() -> None:
    path = '  File "/tmp/pip-build-env-x/overlay/lib/python3.11/site-packages/torch/utils/cpp_extension.py", line 9\n'
    assert "not yours" in match(path + MISMATCH)[0].cause


def test_the_name_error_is_another_failure_when_nvcc_is_there() -> None:
    text = "NameError: name 'bare_metal_version' is not defined\n"
    assert match(text)[0].rule == "nvcc-not-found-nameerror"
    assert (
        match(text, machine("wsl-5090-ready"))[0].rule == "nvcc-present-but-isolated-torch-is-cpu"
    )
    assert match(text, machine("wsl-5090-bare"))[0].rule == "nvcc-not-found-nameerror"


def test_both_forms_of_the_mismatch_tell_both_versions() -> None:
    old = "  RuntimeError:\n  The detected CUDA version (12.3) mismatches the version that was used to compile\n  PyTorch (11.8). Please make sure\n"
    for text, nvcc, torch in ((old, "12.3", "11.8"), (MISMATCH, "13.0", "12.8")):
        cause = match(text)[0].cause
        assert f"CUDA {nvcc}" in cause and f"CUDA {torch}" in cause


def test_pieces_make_no_difference() -> None:
    text = "line\n" * 50 + MISMATCH + "\n" + "line\n" * 50
    whole = examine(iter([text]))
    for size in (300, 500, 1000):
        assert (
            examine(chunks(text, size=size)).findings[0].line_number
            == whole.findings[0].line_number
            == 51
        )
        blocks = iter([text[i : i + size] for i in range(0, len(text), size)])
        assert examine(whole_lines(blocks)).findings == whole.findings


def test_a_context_in_the_piece_before_counts() -> None:
    text = "Getting requirements to build wheel: finished with status 'error'\nModuleNotFoundError: No module named 'torch'\n"
    assert [f.rule for f in examine(chunks(text, size=70)).findings] == [
        "no-module-torch-in-isolation"
    ]


def test_no_log_is_no_failure() -> None:
    diagnosis = examine(iter([]))
    assert not diagnosis.failed and diagnosis.lines == 0


@pytest.mark.parametrize(
    "line",
    [
        "csrc/x.cpp:5:10: 致命错误：x.h：没有那个文件或目录",
        "csrc/x.cpp:5:10: erreur fatale : x.h : Aucun fichier ou dossier de ce type",
        "csrc/x.cpp:5:10: schwerwiegender Fehler: x.h: Datei oder Verzeichnis nicht gefunden",
        "csrc/x.cpp:5:10: фатальная ошибка: x.h: Нет такого файла или каталога",
        "csrc/x.cpp:5:10: 致命的エラー: x.h: そのようなファイルやディレクトリはありません",
    ],
)
def test_localised_compilers_have_first_errors_too(line: str) -> None:
    diagnosis = examine(iter([f"make all\nx.cpp:1: warning: unused\n{line}\n"]))
    assert diagnosis.first_error == line


@pytest.mark.parametrize(
    "line",
    [
        "x.cpp:3:4: warning: error in comment",
        "UserWarning: an error might follow",
        "  -Werror -I/x/error.h",
        "ERROR: Failed building wheel for x",
        "error: subprocess-exited-with-error",
        "0 errors, 3 warnings",
        "WARNING: Retrying after error",
    ],
)
def test_these_lines_are_no_first_errors(line: str) -> None:
    assert examine(iter([line + "\n"])).first_error is None
