"""Whole logs for failures that cannot be provoked without the machine in question: `python compose.py`.

The frame is real: what pip, ninja and nvcc printed here (`success-cuda.log`, `cxx17-with-torch214.log`, …). The
failure stands in it as it was reported, indented and followed by the lines that pip adds, once with colours,
once with CRLF, once with progress bars, so that every dress is worn by some log. Writes `index.json` too.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

from mambaops.diagnose.rules import Rule, load

HERE = Path(__file__).resolve().parent
LOGS = HERE
BUILD = {
    "nvcc-present-but-isolated-torch-is-cpu",
    "gxx-above-torch-bound",
    "gxx-below-minimum",
    "std-function-parameter-packs",
    "glibc-math-exception-spec",
    "cuda-bf16-h-missing",
    "objects-missing-at-link",
    "cxx20-msvc",
    "cxx17-required",
    "win-no-msvc",
    "win-m-log2e",
    "win-c2975",
    "win-causal-headers",
}
INSTALL = {
    "tilelang-pin-vs-vllm",
    "version-label-skew",
    "graph-mamba-conda-file",
    "cuda-runfile-driver",
    "wheel-404-then-compile",
    "github-blocked",
    "build-looks-hung",
    "legacy-bdist-wheel-removed",
}


def provoked() -> dict[str, list[str]]:
    """Log -> ids, from the headers of the scripts that make them."""
    found: dict[str, list[str]] = {}
    for script in sorted((HERE / "provoke").glob("*.sh")):
        header = re.search(r"^# ids: ?(.*)$", script.read_text(encoding="utf-8"), re.MULTILINE)
        if header is not None:
            found[script.stem] = [name.strip() for name in header[1].split(",") if name.strip()]
    return found


def main() -> None:
    real = provoked()
    index = {
        f"{name}.log": {"ids": ids, "made_by": f"provoke/{name}.sh"} for name, ids in real.items()
    }
    covered = {name for ids in real.values() for name in ids}
    left = [rule for rule in load().rules if rule.id not in covered and rule.role == "cause"]
    for number, rule in enumerate(left):
        name = f"composed-{rule.id}.log"
        (LOGS / name).write_text(dressed(composed(rule), number), encoding="utf-8", newline="")
        index[name] = {"ids": [rule.id], "made_by": "compose.py"}
    (HERE / "index.json").write_text(
        json.dumps(index, indent=1, sort_keys=True) + "\n", encoding="utf-8"
    )


def composed(rule: Rule) -> str:
    """The whole log of one failure."""
    failure = rule.examples[0].rstrip("\n")
    if rule.id in BUILD:
        return building(failure)
    if rule.id in INSTALL:
        return installing() + failure + "\n"
    return installing() + training() + traceback(failure)


def real(name: str) -> list[str]:
    return (LOGS / f"{name}.log").read_text(encoding="utf-8").splitlines()


def building(failure: str) -> str:
    """A build whose compile lines are real and whose error is the reported one."""
    lines = real("cxx17-with-torch214")
    first = next(i for i, line in enumerate(lines) if "FAILED:" in line)
    command = [line[:600] for line in lines[first + 1 : first + 2]]
    rows = [f"  {line}" for line in failure.splitlines()]
    end = [
        line for line in lines if "CalledProcessError" in line or "Error compiling objects" in line
    ]
    # what succeeded before it: the compile lines that real builds print
    before = [line[:600] for line in lines[:first] if "error:" not in line][-300:]
    return "\n".join(
        [*before, *command, *rows, "  ninja: build stopped: subcommand failed.", *end, *TAIL, ""]
    )


TAIL = [
    "  error: subprocess-exited-with-error",
    "  ",
    "  × Building wheel for mamba_ssm (pyproject.toml) did not run successfully.",
    "  │ exit code: 1",
    "  ╰─> See above for output.",
    "  ",
    "  note: This error originates from a subprocess, and is likely not a problem with pip.",
    "  ERROR: Failed building wheel for mamba_ssm",
    "Failed to build mamba_ssm",
    "error: failed-wheel-build-for-install",
    "",
    "× Failed to build installable wheels for some pyproject.toml based projects",
    "╰─> mamba_ssm",
]


def installing() -> str:
    """A real, successful installation."""
    # the ends of it: copying and compiling in between repeat themselves
    lines = real("success-cuda")
    lines = [line[:300] for line in lines[:150] + lines[-100:]]
    return "\n".join(line for line in lines if "Uninstalling" not in line) + "\n"


def training() -> str:
    """What train_vlm prints until something happens."""
    rows = ["device: cuda, dtype: bfloat16, from_scratch: True, 12408 pairs"]
    for step in range(0, 6000, 50):
        loss = 7.9 - step / 1500
        rows.append(
            f"epoch 1 step {step}: caption_loss {loss:.4f} lr {2e-5 * (1 - step / 6000):.3e} 3.1 it/s"
        )
    return "\n".join(rows) + "\n"


def traceback(failure: str) -> str:
    frames = [
        "Traceback (most recent call last):",
        '  File "/home/user/project/train_vlm.py", line 412, in <module>',
        "    main()",
        '  File "/home/user/project/train_vlm.py", line 371, in main',
        "    loss = model(batch).loss",
    ]
    return "\n".join([*frames, failure, ""])


def dressed(text: str, number: int) -> str:
    """Every log in another dress."""
    if number % 4 == 1:
        return text.replace("\n", "\r\n")
    if number % 4 == 2:
        coloured = re.sub(
            r"\b(error|Error|warning)(:)", "\x1b[01;31m\x1b[K\\1\\2\x1b[m\x1b[K", text
        )
        return "\x1b[32mstart\x1b[0m\n" + coloured
    if number % 4 == 3:
        bars = "".join(
            f"\r   {'━' * part}{' ' * (40 - part)} {part * 12}.3/480.2 MB 11.2 MB/s"
            for part in range(41)
        )
        return f"Downloading mamba_ssm-2.3.0.whl (480.2 MB){bars}\n\x00\x01\xff\n" + text
    return text


if __name__ == "__main__":
    main()
