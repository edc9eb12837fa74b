"""A C++ compiler that works and is new enough for torch's headers."""

from __future__ import annotations

from mambaops.decide.case import Case
from mambaops.decide.packages import compiles
from mambaops.decide.toolkit import compiler_floor, cxx_standard, getting_gxx, host_compiler, major
from mambaops.decide.verdict import Verdict, blocked, done
from mambaops.steps.step import Step


def assess(case: Case) -> Verdict:
    """A C++ compiler that works and knows the standard."""
    floor = compiler_floor(cxx_standard(case))
    compiler = host_compiler(case.facts, floor=floor) or host_compiler(case.facts)
    if compiler is None:
        return blocked(
            "there is no working g++ (looked on PATH)",
            "`sudo apt-get install g++` (Debian, Ubuntu), `dnf install gcc-c++`, or conda's gxx_linux-64",
        )
    if major(compiler.version) < floor:
        return blocked(
            f"{compiler.name} {compiler.version} does not know C++{cxx_standard(case)}, which the "
            f"headers of torch {case.choice.torch} demand (g++ {floor} or newer)",
            f"{getting_gxx(floor)}; or an older torch: `--torch 2.10.0`",
        )
    return done(f"{compiler.name} {compiler.version} at {compiler.path}")


STEP = Step(
    id="check-compiler",
    help="Is there a C++ compiler that torch's headers and nvcc take?",
    assess=assess,
    after=("find-wheels", "install-torch"),
    wanted=compiles,
    only_to_compile=True,
)
