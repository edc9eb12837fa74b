"""Calls that are launched again without the checks: what the driver is handed is what the long way hands it."""

from __future__ import annotations

import json
import struct

import pytest
from kernel_runs import Run

pytestmark = pytest.mark.network

UPDATE = """
import json, threading, torch, causal_conv1d_cuda as m
from mambaops_kernels import conv_update, launch, quick
def made(batch=2, dim=16, length=1, kept=4, width=4, dtype=torch.float32, bias=True, more=False, cut=0):
    x = torch.randn(batch, dim + cut, length).to(dtype)[:, cut:]
    numbers = torch.zeros(batch, dtype=torch.int32)
    return [x, torch.randn(batch + 1 if more else batch, dim, kept).to(dtype), torch.randn(dim, width),
            torch.randn(dim) if bias else None, torch.empty_like(x), True, numbers if more else None, numbers.clone() if more else None]
# neither the guard nor the records would be there otherwise
assert quick._GUARDS
"""
# each is called with tensors of its own, and differs from the first in one thing
KINDS = (
    "made(), made(batch=3), made(dim=20), made(length=2), made(kept=6), made(width=3), made(dtype=torch.float16), "
    "made(bias=False), made(more=True), made(cut=4), [*made()[:5], False, None, None]"
)


def launches(lines: list[str]) -> list[str]:
    return [line for line in lines if line.startswith("launch")]


def test_the_driver_is_handed_the_same_the_second_time(run: Run, record) -> None:
    run(
        f"{UPDATE}\nfor args in ({KINDS}):\n"
        "    launch.forget(); m.causal_conv1d_update(*args)\n"
        "    assert conv_update.again(args)\n"
        "    m.causal_conv1d_update(*args)\n",
        PARAMS="184",
    )
    found = launches(record())
    assert len(found) == 33
    # the handle of the function is another one each time that it is loaded: it is the same within three
    for first, second, third in zip(found[::3], found[1::3], found[2::3]):
        assert first == second == third


def test_other_tensors_are_no_repetition(run: Run) -> None:
    assert (
        run(
            f"{UPDATE}\nfirst = made(); m.causal_conv1d_update(*first)\n"
            f"print([conv_update.again(args) for args in ({KINDS})])"
        ).stdout.split()
        == str([True] + [False] * 10).split()
    )


def test_new_tensors_alike_are_read_at_their_own_addresses(run: Run, record) -> None:
    done = run(
        f"{UPDATE}\nkept = [made() for _ in range(3)]\n"
        "for args in kept: m.causal_conv1d_update(*args)\n"
        "print(json.dumps([[args[at].data_ptr() for at in (0, 2, 3, 4, 1)] for args in kept]))",
        PARAMS="184",
    )
    lines = launches(record())
    for line, pointers in zip(lines, json.loads(done.stdout)):
        assert struct.pack("<5Q", *pointers).hex() in line
    assert len(lines) == 3


def test_a_thread_without_a_context_and_another_stream(run: Run, record) -> None:
    run(
        f"{UPDATE}\nargs = made(); m.causal_conv1d_update(*args); m.causal_conv1d_update(*args)\n"
        "torch._C._cuda_getCurrentRawStream = lambda device: 0x99\n"
        "one = threading.Thread(target=m.causal_conv1d_update, args=args); one.start(); one.join()"
    )
    first, second, third = launches(record())
    assert "stream 0x77" in first and "stream 0x77" in second and "stream 0x99" in third
    assert first.split()[1] == third.split()[1]


def test_an_error_of_the_driver_is_raised_and_the_next_call_works(run: Run, record) -> None:
    done = run(
        f"{UPDATE}\nargs = made(); m.causal_conv1d_update(*args)\n"
        "import os\nos.environ['FAIL'] = 'cuLaunchKernel:700'\nfrom ctypes import CDLL\nCDLL(None).setenv(b'FAIL', b'cuLaunchKernel:700', 1)\n"
        "try:\n    m.causal_conv1d_update(*args)\nexcept Exception as error: print(type(error).__name__, error)\n"
        "CDLL(None).unsetenv(b'FAIL'); m.causal_conv1d_update(*args)"
    )
    assert "DriverError cuLaunchKernel: CUDA_ERROR_ILLEGAL_ADDRESS" in done.stdout
    assert len(launches(record())) == 2


def test_arguments_that_are_no_tensors_are_refused_as_before(run: Run) -> None:
    done = run(
        f"{UPDATE}\nargs = made(); m.causal_conv1d_update(*args)\n"
        "args[3] = 5; m.causal_conv1d_update(*args)",
        check=False,
    )
    assert done.returncode == 1
    assert "quick.py" not in done.stderr


def test_a_forked_process_is_told_that_the_gpu_is_of_no_use_to_it(run: Run) -> None:
    done = run(
        f"{UPDATE}\nimport os\nargs = made(); m.causal_conv1d_update(*args)\n"
        "pid = os.fork()\n"
        "if pid == 0:\n    m.causal_conv1d_update(*args)\n"
        "else: os.waitpid(pid, 0)",
    )
    assert "was forked from process" in done.stderr
