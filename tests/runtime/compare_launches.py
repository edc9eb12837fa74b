"""Drawn calls of upstream's compiled host code and of ours: every launch's kernel, grid, block, shared memory, attribute
and byte of the struct, and every refusal's words, must be the same. Run as a program: SCAN-OR-CONV EXTENSION COUNT SEED.
"""

from __future__ import annotations

import ctypes
import importlib.machinery
import importlib.util
import json
import random
import re
import subprocess
import sys

import torch
from mambaops_kernels import (
    checks,
    compiler,
    conv,
    conv_update,
    facts,
    launch,
    locate,
    repairs,
    rules,
    scan,
)
from mambaops_kernels.architectures import Target
from mambaops_kernels.sources import installed

TYPES = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}

FUNCTIONS = (
    scan.fwd, scan.bwd, conv.causal_conv1d_fwd, conv.causal_conv1d_bwd, conv_update.causal_conv1d_update,
)  # fmt: skip


class Ours:
    """In place of the GPU: keeps the last launch."""

    def __init__(self, layouts):
        self.layouts, self.last = layouts, None

    def stream(self, device):
        return 0x77

    def check(self, ready):
        pass

    def load(self, device, instance, names):
        owner, layout = self, self.layouts[instance]
        packing = launch.Packing(layout, names)

        class Kernel:
            threads, shared, extra = layout.threads, layout.shared, layout.extra

            def launch(self, values, grid, stream, tensors):
                data = bytearray(packing.size)
                packing.into(data, values)
                owner.last = {
                    "kernel": expression(instance),
                    "numbers": [*grid, layout.threads, 1, 1, layout.shared],
                    "stream": stream,
                    "attribute": layout.shared if layout.shared >= rules.LARGE_SHARED else 0,
                    "bytes": bytes(data),
                    "layout": layout,
                }

        return Kernel()


class Theirs:
    """Upstream's extension and what its stand-in runtime recorded."""

    def __init__(self, path):
        name = path.rsplit("/", 1)[-1].split(".")[0]
        loader = importlib.machinery.ExtensionFileLoader(name, path)
        spec = importlib.util.spec_from_loader(name, loader)
        self.module = importlib.util.module_from_spec(spec)
        loader.exec_module(self.module)
        self.library = ctypes.CDLL(path)

    def value(self, kind, name):
        return kind.in_dll(self.library, name)

    def reset(self, size):
        self.value(ctypes.c_size_t, "recorded_struct_size").value = size
        for name in ("launches", "attributes", "attribute"):
            self.value(ctypes.c_int, f"recorded_{name}").value = 0

    def last(self, size):
        if self.value(ctypes.c_int, "recorded_launches").value != 1:
            return None
        return {
            "kernel": bytes((ctypes.c_char * 8192).in_dll(self.library, "recorded_name"))
            .split(b"\0")[0]
            .decode(),
            "numbers": list((ctypes.c_uint * 7).in_dll(self.library, "recorded_numbers")),
            "stream": self.value(ctypes.c_ulonglong, "recorded_stream").value,
            "attribute": self.value(ctypes.c_int, "recorded_attribute").value,
            "bytes": bytes((ctypes.c_ubyte * 4096).in_dll(self.library, "recorded_bytes"))[:size],
        }


def expression(instance):
    """The kernel as c++filt writes a name, without spaces."""
    rule = rules.RULES[instance.family]
    values = {n: rules._written(v) for n, v in zip(rule.values, instance.values)}
    kernel = rule.kernel[installed().era(instance.family)].format(**values)
    text = kernel.replace("traits", rule.traits.format(**values))
    text = text.replace("at::", "c10::").replace("complex_t", "c10::complex<float>")
    return f"{text}({rule.struct})".replace(" ", "")


_PLAIN = {}


def plain(mangled):
    if mangled not in _PLAIN:
        done = subprocess.run(["c++filt", mangled], capture_output=True, text=True, check=True)
        _PLAIN[mangled] = done.stdout.strip().removeprefix("void ").replace(" ", "")
    return _PLAIN[mangled]


def layouts(instances):
    """The facts of many instances by programs without kernels."""
    found = {}
    by_file = {}
    for one in instances:
        by_file.setdefault(rules.RULES[one.family].file, []).append(one)
    for group in by_file.values():
        for start in range(0, len(group), 240):
            found.update(_layouts(group[start : start + 240]))
    return found


def _layouts(group):
    toolchain, sources = locate.find("13.0"), installed()
    bodies, includes = [], ""
    for number, one in enumerate(group):
        text, _ = sources.program(one)
        includes, _, body = text.partition("using traits")
        body = body.replace(facts.SYMBOL, f"{facts.SYMBOL}_{number}")
        bodies.append(f"namespace n{number} {{ using traits{body} }}")
    program = includes + "__global__ void nothing() {}\n" + "\n".join(bodies)
    said, code = compiler.run_nvrtc({
        "library": toolchain.library, "builtins": toolchain.builtins, "program": program, "kernel": "nothing",
        "options": compiler.options(sources, group[0], toolchain, Target("cubin", (9, 0))), "kind": "cubin",
    })  # fmt: skip
    assert not said["error"], said["log"]
    found = {}
    for number, one in enumerate(group):
        numbers = facts.read(code, f"{facts.SYMBOL}_{number}")
        extra = [name for name, _ in rules.RULES[one.family].extra]
        found[one] = facts.Layout(numbers, extra, sources.fields(one.family))
    return found


def strided(draw, shape, dtype):
    """A tensor of that shape, close together or a part of a larger one, or with its first axes the other way round."""
    kind = draw.choice(["plain", "plain", "slice", "turned"])
    real = torch.float32 if dtype.is_complex else dtype
    if kind == "slice":
        larger = torch.zeros(
            [size + draw.randrange(3) for size in shape], dtype=dtype if dtype.is_complex else real
        )
        return larger[tuple(slice(0, size) for size in shape)]
    if kind == "turned" and len(shape) >= 3:
        turned = torch.zeros([shape[1], shape[0], *shape[2:]], dtype=dtype)
        return turned.transpose(0, 1)
    return torch.zeros(shape, dtype=dtype)


def scan_call(draw):
    kind, weight = (
        draw.choice(list(TYPES.values())),
        draw.choice([torch.float32, torch.float32, torch.complex64]),
    )
    batch, groups, heads = draw.randint(1, 3), draw.choice([1, 1, 2, 3]), draw.randint(1, 3)
    dim, state = groups * heads, draw.choice([1, 2, 3, 16, 33, 256])
    length = draw.choice(
        [
            1,
            2,
            7,
            64,
            127,
            128,
            129,
            255,
            256,
            257,
            511,
            512,
            513,
            1000,
            1024,
            1025,
            2047,
            2048,
            2049,
            4096,
            4100,
        ]
    )
    steps = length * (2 if weight.is_complex else 1)

    def matrix():
        if draw.random() < 0.3:
            return strided(draw, (dim, state), weight)
        return strided(draw, (batch, groups, state, steps), kind)

    run = (batch, dim, length)
    arguments = [
        strided(draw, run, kind), strided(draw, run, kind), strided(draw, (dim, state), weight), matrix(), matrix(),
        torch.zeros(dim) if draw.random() < 0.7 else None, strided(draw, run, kind) if draw.random() < 0.7 else None,
        torch.zeros(dim) if draw.random() < 0.7 else None,
    ]  # fmt: skip
    softplus = draw.random() < 0.5
    if draw.random() < 0.5:
        return "fwd", [*arguments, softplus]
    chunks = (length + 2047) // 2048
    x = torch.zeros(batch, dim, chunks, 2 * state, dtype=weight)
    x = None if draw.random() < 0.1 else x
    out = None if arguments[6] is None and draw.random() < 0.5 else strided(draw, run, kind)
    dz = strided(draw, run, kind) if draw.random() < 0.5 else None
    again = arguments[6] is not None and draw.random() < 0.5
    return "bwd", [*arguments, strided(draw, run, kind), x, out, dz, softplus, again]


def conv_layout(draw, shape, dtype, last):
    if not last:
        whole = torch.zeros(
            shape[0], shape[1] + draw.randrange(3), shape[2] + draw.choice([0, 0, 5]), dtype=dtype
        )
        return whole[:, : shape[1], : shape[2]]
    extra = 8 * draw.randrange(2)
    whole = torch.zeros(shape[0], shape[2] + draw.randrange(2), shape[1] + extra, dtype=dtype)
    return whole[:, : shape[2], : shape[1]].transpose(1, 2)


def conv_call(draw):
    kind, weight_kind = draw.choice(list(TYPES.values())), draw.choice(list(TYPES.values()))
    batch, width = draw.randint(1, 3), draw.choice([2, 3, 4, 4])
    length = draw.choice([1, 2, 3, 8, 40, 63, 64, 65, 127, 128, 129, 500, 1024, 1030])
    last = draw.random() < 0.5
    dim = 8 * draw.randint(1, 12) if last else draw.randint(1, 70)
    x = conv_layout(draw, (batch, dim, length), kind, last)
    weight = strided(draw, (dim, width), weight_kind)
    bias = torch.zeros(dim, dtype=weight_kind) if draw.random() < 0.6 else None
    silu = draw.random() < 0.5
    which = draw.choice(["fwd", "bwd", "update"])
    if which == "update":
        entries = draw.choice([batch, batch + 3])
        state = strided(draw, (entries, dim, width - 1 + draw.randrange(4)), kind)
        seqlens = torch.zeros(batch, dtype=torch.int32) if draw.random() < 0.4 else None
        indices = (
            torch.zeros(batch, dtype=torch.int32)
            if entries != batch or draw.random() < 0.3
            else None
        )
        return "causal_conv1d_update", [
            x,
            state,
            weight,
            bias,
            torch.zeros_like(x),
            silu,
            seqlens,
            indices,
        ]
    seq_idx = (
        torch.zeros(batch, length, dtype=torch.int32) if last and draw.random() < 0.4 else None
    )

    def kept():
        return (
            conv_layout(draw, (batch, dim, width - 1), kind, True)
            if last and draw.random() < 0.4
            else None
        )

    if which == "fwd":
        return "causal_conv1d_fwd", [
            x,
            weight,
            bias,
            seq_idx,
            kept(),
            torch.zeros_like(x),
            kept(),
            silu,
        ]
    dout = conv_layout(draw, (batch, dim, length), kind, last if draw.random() < 0.8 else not last)
    initial = kept()
    targets = [
        conv_layout(draw, (batch, dim, length), kind, last), torch.zeros(dim, width),
        None if bias is None else torch.zeros(dim), None if initial is None else torch.zeros_like(initial),
    ]  # fmt: skip
    return "causal_conv1d_bwd", [x, weight, bias, dout, seq_idx, initial, kept(), *targets, silu]


def spoiled(draw, arguments):
    """One tensor replaced by one that is wrong in kind, size, number of axes or strides."""
    places = [i for i, one in enumerate(arguments) if isinstance(one, torch.Tensor)]
    place = draw.choice(places)
    one = arguments[place]
    changes = [
        lambda: one.to(torch.float64), lambda: one.to(torch.float16), lambda: torch.cat([one, one], dim=-1),
        lambda: torch.cat([one, one], dim=0), lambda: torch.zeros([*one.shape[:-1], 2 * one.shape[-1]], dtype=one.dtype)[..., ::2],
        lambda: one.to(torch.int32),
    ]  # fmt: skip
    return [*arguments[:place], draw.choice(changes)(), *arguments[place + 1 :]]


def called(function, arguments):
    """(results, None) or (None, the first line of the refusal)."""
    try:
        return function(*arguments), None
    except RuntimeError as error:
        return None, str(error).splitlines()[0].replace("is_cpu()", "is_cuda()")


def normalised(recorded, layout, fresh, unset):
    """The struct with the addresses of memory that the call itself allocated as ones, and what upstream leaves unset as
    zeros; so are the bytes between fields, which belong to nobody."""
    data = bytearray(len(recorded["bytes"]))
    for _, offset, size in layout.fields:
        data[offset : offset + size] = recorded["bytes"][offset : offset + size]
    for name, offset, size in layout.fields:
        if name in unset:
            data[offset : offset + size] = bytes(size)
        elif name in fresh and any(data[offset : offset + size]):
            data[offset : offset + size] = (1).to_bytes(size, "little")
    return bytes(data)


FRESH = {
    "fwd": {"out_ptr", "x_ptr", "out_z_ptr"},
    "bwd": {
        "du_ptr",
        "ddelta_ptr",
        "dA_ptr",
        "dB_ptr",
        "dC_ptr",
        "dD_ptr",
        "ddelta_bias_ptr",
        "out_z_ptr",
    },
    "causal_conv1d_fwd": set(),
    "causal_conv1d_bwd": {"dweight_workspace_ptr", "dbias_workspace_ptr"},
    "causal_conv1d_update": set(),
}


UNSET = {
    *(f"d{m}_{axis}_stride" for m in "BC" for axis in ("batch", "group", "d")),
    *(f"dz_{axis}_stride" for axis in ("batch", "d")),
    *(f"d{s}_states_{axis}_stride" for s in ("initial", "final") for axis in ("batch", "l", "c")),
}


def compare(theirs, ours, name, arguments, own):
    """None where both do the same, else what differs; and whether it was refused."""
    theirs.reset(4096)
    fresh = set(FRESH[name])
    if name == "bwd" and arguments[11] is None:
        fresh.add("dz_ptr")
    if name == "causal_conv1d_bwd":
        fresh |= _copied(arguments)
    first, refused = called(getattr(theirs.module, name), arguments)
    mine, mine_refused = called(own[name], arguments)
    if refused is not None or mine_refused is not None:
        return None if refused == mine_refused else (refused, mine_refused), True
    one, other = theirs.last(ours.last["layout"].size), ours.last
    if one is None:
        return "no single launch", False
    found = (plain(one["kernel"]), one["numbers"], one["stream"], one["attribute"])
    wanted = (other["kernel"], other["numbers"], other["stream"], other["attribute"])
    if found != wanted:
        return (found, wanted), False
    layout = other["layout"]
    # upstream clears the forward struct only: a stride of the backward one that the kernel does not read is whatever
    # the stack held, and ours is zero
    unset = {
        f
        for f, start, size in layout.fields
        if f in UNSET and not any(other["bytes"][start : start + size])
    }
    left, right = (normalised(each, layout, fresh, unset) for each in (one, other))
    if left != right:
        return [
            f for f in layout.fields if left[f[1] : f[1] + f[2]] != right[f[1] : f[1] + f[2]]
        ], False
    shapes = [
        [None if t is None else (t.shape, t.stride(), t.dtype) for t in r or []]
        for r in (first, mine)
    ]
    return (None if shapes[0] == shapes[1] else shapes), False


def _copied(arguments):
    """A gradient of another layout than x's is copied, so its address is the copy's."""
    x, dout = arguments[0], arguments[3]
    last = x.stride(1) == 1 and x.stride(2) > 1
    return {"dout_ptr", "out_ptr"} if dout.stride(1 if last else 2) != 1 else set()


def without_repairs():
    """Upstream's launches are compared also where they are wrong: `test_emulated.py` has what is done about those."""
    repairs.aligned = repairs.all_aligned = lambda *_: True
    repairs.missing_steps = lambda *_: 0
    repairs.with_room = lambda states: states
    installed().faults = frozenset()


def main(what, path, count, seed):
    draw, kinds = random.Random(seed), list(TYPES)
    if what == "scan":
        pairs = [(k, w) for k in kinds for w in ("fp32", "complex64")]
        instances = [
            i
            for k, w in pairs
            for back in (False, True)
            for i in rules.scan_instances(k, w, backward=back)
        ]
    else:
        instances = [i for k in kinds for w in kinds for i in rules.conv_instances(k, w)]
    ours, theirs = Ours(layouts(instances)), Theirs(path)
    launch.BACKENDS.append(ours)
    checks.KIND = "cpu"
    without_repairs()
    call = scan_call if what == "scan" else conv_call
    own = {one.__name__: one for one in FUNCTIONS}
    wrong, refusals, used = [], 0, set()
    for number in range(count):
        name, arguments = call(draw)
        if draw.random() < 0.2:
            arguments = spoiled(draw, arguments)
        different, refused = compare(theirs, ours, name, arguments, own)
        refusals += refused
        if not refused:
            used.add(ours.last["kernel"])
        if different is not None and len(wrong) < 20:
            said = [
                None
                if t is None
                else [str(t.dtype), list(t.shape), list(t.stride())]
                if isinstance(t, torch.Tensor)
                else t
                for t in arguments
            ]
            wrong.append([number, name, repr(different)[:600], repr(said)[:600]])
    print(
        json.dumps(
            {
                "wrong": wrong,
                "refusals": refusals,
                "kernels": len(used),
                "instances": len(instances),
            }
        )
    )


if __name__ == "__main__":
    assert re.fullmatch("scan|conv", sys.argv[1])
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
