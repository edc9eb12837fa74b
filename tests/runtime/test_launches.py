"""Calls of the modules with the driver recorded: kernel, grid, block, shared memory, stream, struct, errors, refusals."""

from __future__ import annotations

import re
import struct

import pytest
from kernel_runs import Run, of

pytestmark = pytest.mark.network

SCAN = """
import torch, selective_scan_cuda as m
def scan(batch=2, dim=4, length=300, state=16, dtype=torch.float32, **more):
    u = torch.randn(batch, dim, length).to(dtype); delta = torch.rand(batch, dim, length).to(dtype)
    A = -torch.rand(dim, state); B = torch.randn(batch, 1, state, length).to(dtype); C = torch.randn(batch, 1, state, length).to(dtype)
    D = torch.ones(dim); z = torch.randn(batch, dim, length).to(dtype)
    return [u, delta, A, B, C, D, z, None, True]
"""


def _launches(lines: list[str]) -> list[dict[str, str]]:
    found = []
    for line in lines:
        match = re.match(
            r"launch (?P<context>\S+) (?P<function>\S+) grid (?P<grid>\S+) block (?P<block>\S+) "
            r"shared (?P<shared>\d+) stream (?P<stream>\S+) (?P<bytes>\w*)",
            line,
        )
        if match:
            found.append(match.groupdict())
    return found


def test_a_forward_call_launches_one_kernel_with_its_struct(run: Run, record) -> None:
    done = run(
        SCAN + "args = scan(); out, x, out_z = m.fwd(*args)\n"
        "import json; print(json.dumps([t.data_ptr() if t is not None and t is not True else 0 for t in args]"
        " + [out.data_ptr(), x.data_ptr(), out_z.data_ptr()] + list(x.shape)))",
        PARAMS="280",
    )
    *pointers, a, b, c, d = of(done)
    u, delta, A, B, C, D, z, _, _, out, x, out_z = pointers
    (launch,) = _launches(record())
    assert (launch["grid"], launch["block"], launch["stream"]) == ("2,4,1", "32,1,1", "0x77")
    assert int(launch["shared"]) == 6304
    assert [a, b, c, d] == [2, 4, 1, 32]
    data = bytes.fromhex(launch["bytes"])
    assert struct.unpack_from("<7i3?", data) == (2, 4, 300, 16, 1, 1, 4, True, True, True)
    strides = struct.unpack_from("<20Q", data, 32)
    row = (4 * 300, 300)
    matrix = (16 * 300, 0, 300, 16 * 300)
    assert strides == (16, 1, *matrix, *matrix, *row, *row, *row, *row, *row)
    assert struct.unpack_from("<11Q", data, 192) == (A, B, C, D, u, delta, 0, out, x, z, out_z)


@pytest.mark.parametrize(
    ("length", "block"),
    [(1, 32), (128, 32), (129, 32), (512, 32), (513, 64), (1024, 64), (1025, 128), (5000, 128)],
)
def test_blocks_follow_the_length(run: Run, record, length: int, block: int) -> None:
    run(SCAN + f"m.fwd(*scan(length={length}))")
    assert [one["block"] for one in _launches(record())] == [f"{block},1,1"]


def test_a_kernel_is_loaded_once_and_its_context_is_the_threads_own(run: Run, record) -> None:
    run(
        SCAN + "import threading\nargs = scan()\nfor _ in range(3): m.fwd(*args)\n"
        "t = threading.Thread(target=lambda: m.fwd(*args)); t.start(); t.join()"
    )
    lines = record()
    assert [line.split()[0] for line in lines] == [
        "init",
        "retain",
        "load",
        "function",
        *["launch"] * 4,
    ]
    assert {one["context"] for one in _launches(lines)} == {"0xc0"}


def test_each_device_has_its_own_context_and_module(run: Run, record) -> None:
    run(
        SCAN + "args = scan(); m.fwd(*args)\n"
        "torch.Tensor.get_device = lambda tensor: 3\nm.fwd(*args); m.fwd(*args)"
    )
    launches = _launches(record())
    assert [one["context"] for one in launches] == ["0xc0", "0xc3", "0xc3"]
    assert [one["stream"] for one in launches] == ["0x77", "0x7a", "0x7a"]
    assert len({one["function"] for one in launches}) == 2


def test_much_shared_memory_is_asked_for_once(run: Run, record) -> None:
    run(
        SCAN + "args = scan(length=2048)\nargs[2] = torch.complex(args[2], args[2])\n"
        "args[3] = torch.randn(2, 1, 16, 4096); args[4] = torch.randn(2, 1, 16, 4096)\n"
        "o, x, z = m.fwd(*args)\nfor _ in range(2): m.bwd(*args[:8], o, x, o, None, True, False)"
    )
    lines = record()
    _first, second, third = _launches(lines)
    assert second == {**second, "block": "128,1,1"}
    assert int(second["shared"]) >= 48 * 1024
    asked = [line.split()[1:] for line in lines if line.startswith("attribute")]
    assert asked == [[second["function"], "8", second["shared"]]]
    assert third == second


@pytest.mark.parametrize(
    ("fail", "said"),
    [
        ("cuInit:100", "cuInit: CUDA_ERROR_NO_DEVICE (no CUDA-capable device is detected)"),
        ("cuDevicePrimaryCtxRetain:2", "CUDA_ERROR_OUT_OF_MEMORY"),
        ("cuModuleLoadData:209", "reinstall mambaops-kernels on this machine"),
        ("cuModuleLoadData:222", "the driver is older than the compiler"),
        ("cuModuleGetFunction:500", "cuModuleGetFunction: CUDA_ERROR_NOT_FOUND"),
        (
            "cuLaunchKernel:700",
            "cuLaunchKernel: CUDA_ERROR_ILLEGAL_ADDRESS (an illegal memory access",
        ),
        ("cuLaunchKernel:701:3", "CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES"),
        ("cuLaunchKernel:9999", "cuLaunchKernel: CUDA error 9999"),
    ],
)
def test_an_error_of_the_driver_is_raised_by_its_name(run: Run, fail: str, said: str) -> None:
    done = run(SCAN + "args = scan()\nfor _ in range(3): m.fwd(*args)", check=False, FAIL=fail)
    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("mambaops_kernels.errors.DriverError: ")
    assert said in last


def test_an_older_driver_is_named_before_it_refuses(run: Run, record) -> None:
    done = run(SCAN + "m.fwd(*scan())", check=False, DRIVER="11040")
    assert "the kernel is of CUDA 12.1, and the driver knows CUDA 11.4 at most" in done.stderr
    assert not [line for line in record() if line.startswith(("load", "launch"))]


def test_nothing_is_loaded_while_a_graph_is_captured(run: Run, record) -> None:
    done = run(
        SCAN
        + "import os\nargs = scan(); m.fwd(*args)\nos.environ['STANDIN_CAPTURING'] = '1'\nm.fwd(*args)\n"
        "m.fwd(*scan(length=100))",
        check=False,
    )
    assert "run the model once with these shapes before the capture (a warm-up)" in done.stderr
    assert len(_launches(record())) == 2


def test_a_forked_process_is_told_so(run: Run, record) -> None:
    done = run(
        SCAN + "import os, sys\nargs = scan(); m.fwd(*args)\n"
        "pid = os.fork()\n"
        "if pid == 0:\n"
        "    try: m.fwd(*args)\n"
        "    except RuntimeError as error: print(error, flush=True)\n"
        "    os._exit(0)\n"
        "os.waitpid(pid, 0); m.fwd(*args)"
    )
    assert "was forked from process" in done.stdout and "'spawn'" in done.stdout
    assert len(_launches(record())) == 2


def test_cpu_tensors_go_to_pytorch(run: Run, record) -> None:
    done = run(
        SCAN + "from mambaops_kernels import checks; checks.KIND = 'cuda'\n"
        "out, x, out_z = m.fwd(*scan()); print(out_z.isfinite().all().item(), x.shape[-1])"
    )
    assert done.stdout.split() == ["True", "32"]
    assert record() == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("args[0] = args[0].double()", "Expected input_type == at::ScalarType::Float || "),
        ("args[1] = args[1].half()", "Expected delta.scalar_type() == input_type to be true"),
        (
            "args[2] = torch.zeros(4, 257); args[3] = torch.zeros(2, 1, 257, 300)",
            "selective_scan only supports state dimension <= 256",
        ),
        (
            "args[3] = args[3][..., :-1]",
            "B must have shape (batch_size, n_groups, dstate, !is_complex ? seqlen : seqlen * 2)",
        ),
        (
            "args[0] = args[0].transpose(0, 2).contiguous().transpose(0, 2)",
            "Expected u.stride(-1) == 1 || u.size(-1) == 1",
        ),
        ("args[5] = args[5].half()", "Expected D.scalar_type() == at::ScalarType::Float"),
        ("args[6] = args[6][:1]", "z must have shape (batch_size, dim, seqlen)"),
    ],
)
def test_arguments_are_refused_in_upstreams_words(run: Run, record, change: str, said: str) -> None:
    done = run(SCAN + f"args = scan()\n{change}\nm.fwd(*args)", check=False)
    assert done.stderr.strip().splitlines()[-1].startswith(f"RuntimeError: {said}")
    assert record() == []


CONV = """
import torch, causal_conv1d_cuda as m
x, w, b = torch.randn(2, 16, 40), torch.randn(16, 4), torch.randn(16)
last = lambda t: t.transpose(1, 2).contiguous().transpose(1, 2)
"""


@pytest.mark.parametrize(
    ("call", "grid", "kernel"),
    [
        ("m.causal_conv1d_fwd(x, w, b, True)", "2,16,1", "causal_conv1d_fwd_kernel"),
        ("m.causal_conv1d_fwd(last(x), w, b, None, True)", "2,1,1", "channellast_fwd"),
        (
            "m.causal_conv1d_fwd(last(torch.randn(2, 72, 130)), torch.randn(72, 3), None, torch.zeros(2, 130, dtype=torch.int32), None, None, False)",
            "2,3,3",
            "channellast_fwd",
        ),
        (
            "m.causal_conv1d_fwd(x, w, b, None, None, x.clone(), None, True)",
            "2,16,1",
            "causal_conv1d_fwd_kernel",
        ),
        ("m.causal_conv1d_bwd(x, w, b, x, None, True)", "2,16,1", "causal_conv1d_bwd_kernel"),
        ("m.causal_conv1d_bwd(last(x), w, b, x, None, None, True)", "2,1,1", "channellast_bwd"),
        (
            "m.causal_conv1d_bwd(last(x), w, b, x, None, None, None, None, True, True)",
            "2,1,1",
            "channellast_bwd",
        ),
        ("m.causal_conv1d_update(x[..., 0], torch.zeros(2, 16, 4), w, b, True)", "2,1,1", "update"),
        (
            "m.causal_conv1d_update(x, torch.zeros(2, 16, 9), w, b, True, torch.zeros(2, dtype=torch.int32))",
            "2,1,1",
            "update",
        ),
        (
            "m.causal_conv1d_update(x, torch.zeros(9, 16, 9), w, b, x.clone(), True, None, torch.zeros(2, dtype=torch.int32))",
            "2,1,1",
            "update",
        ),
    ],
)
def test_every_generation_of_convolutions_calls(
    run: Run, record, call: str, grid: str, kernel: str
) -> None:
    run(CONV + call)
    (launch,) = _launches(record())
    assert launch["grid"] == grid
    assert [kernel in line for line in record() if line.startswith("function")] == [True]


def test_old_calls_return_what_they_returned(run: Run) -> None:
    done = run(
        CONV + "h = lambda t: t.to(torch.bfloat16)\n"
        "one = m.causal_conv1d_bwd(h(x), h(w), h(b), h(x), None, True)\n"
        "two = m.causal_conv1d_bwd(last(h(x)), h(w), None, h(x), None, None, None, None, True, True)\n"
        "import json; print(json.dumps([[None if t is None else [str(t.dtype)[6:], list(t.shape), list(t.stride())] for t in r] for r in (one, two)]))"
    )
    one, two = of(done)
    row = ["bfloat16", [2, 16, 40], [640, 40, 1]]
    weight, bias = ["bfloat16", [16, 4], [4, 1]], ["bfloat16", [16], [1]]
    assert one == [row, weight, bias]
    assert two == [
        ["bfloat16", [2, 16, 40], [640, 1, 16]],
        weight,
        None,
        ["bfloat16", [2, 16, 3], [48, 1, 16]],
    ]


def test_an_unknown_number_of_arguments_is_a_type_error(run: Run) -> None:
    done = run(CONV + "m.causal_conv1d_fwd(x, w, b, None, None, True)", check=False)
    assert (
        "TypeError: causal_conv1d_fwd(): incompatible function arguments: 6 were passed"
        in done.stderr
    )
