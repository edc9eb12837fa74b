"""The two Triton kernels of the selective scan: no nvcc needed, Triton brings its own assembler.

One program walks the whole sequence for BLOCK_D channels of one batch row, their states in registers.
Tensors are (batch, length, dim), so that neighbouring channels are neighbours in memory. The backward
kernel goes through the sequence in chunks from the end: it makes a chunk's states again from the kept
one into a scratch of its own, then walks them backwards. Sums over channels (dB, dC) are written per
program and added up outside: the same result every time.
"""

import triton
import triton.language as tl


@triton.jit
def softplus(x):  # type: ignore[no-untyped-def]
    """log(1 + exp(x)); by its series where 1 + exp(x) would round, linear from 20 on."""
    e = tl.exp(tl.minimum(x, 20.0))
    series = e * (1 - e * (0.5 - e * (0.33333333 - e * (0.25 - e * 0.2))))
    return tl.where(x > 20.0, x, tl.where(e < 0.03, series, tl.log(1 + e)))


@triton.jit
def forward_kernel(  # type: ignore[no-untyped-def]
    u,
    delta,
    A,
    B,
    C,
    D,
    z,
    bias,
    out,
    starts,
    last,
    length,
    dim,
    state,
    chunks,
    CHUNK: tl.constexpr,
    HAS_D: tl.constexpr,
    HAS_Z: tl.constexpr,
    HAS_BIAS: tl.constexpr,
    SOFTPLUS: tl.constexpr,
    KEEP: tl.constexpr,
    BLOCK_D: tl.constexpr,
    BLOCK_N: tl.constexpr,
):
    d = tl.program_id(0) * BLOCK_D + tl.arange(0, BLOCK_D)
    n = tl.arange(0, BLOCK_N)
    row = tl.program_id(1).to(tl.int64)
    ok_d, ok_n = d < dim, n < state
    tile = d[:, None] * state + n[None, :]
    ok = ok_d[:, None] & ok_n[None, :]
    a = tl.load(A + tile, mask=ok, other=0.0)
    h = tl.zeros((BLOCK_D, BLOCK_N), dtype=tl.float32)
    for t in range(length):
        if KEEP:  # noqa: SIM102 (a constant for the compiler, the next a number on the GPU)
            if t % CHUNK == 0:
                tl.store(starts + (row * chunks + t // CHUNK) * dim * state + tile, h, mask=ok)
        at = row * length + t
        x = tl.load(u + at * dim + d, mask=ok_d, other=0.0).to(tl.float32)
        dt = tl.load(delta + at * dim + d, mask=ok_d, other=0.0).to(tl.float32)
        if HAS_BIAS:
            dt += tl.load(bias + d, mask=ok_d, other=0.0)
        if SOFTPLUS:
            dt = softplus(dt)
        b = tl.load(B + at * state + n, mask=ok_n, other=0.0)
        c = tl.load(C + at * state + n, mask=ok_n, other=0.0)
        h = tl.exp(dt[:, None] * a) * h + (dt * x)[:, None] * b[None, :]
        y = tl.sum(h * c[None, :], axis=1)
        if HAS_D:
            y += tl.load(D + d, mask=ok_d, other=0.0) * x
        if HAS_Z:
            gate = tl.load(z + at * dim + d, mask=ok_d, other=0.0).to(tl.float32)
            y *= gate * tl.sigmoid(gate)
        tl.store(out + at * dim + d, y.to(out.dtype.element_ty), mask=ok_d)
    tl.store(last + row * dim * state + tile, h, mask=ok)


@triton.jit
def backward_kernel(  # type: ignore[no-untyped-def]
    u,
    delta,
    A,
    B,
    C,
    D,
    z,
    bias,
    dout,
    dlast,
    starts,
    scratch,
    du,
    ddelta,
    dz,
    dA,
    dB,
    dC,
    dD,
    dbias,
    length,
    dim,
    state,
    chunks,
    CHUNK: tl.constexpr,
    HAS_D: tl.constexpr,
    HAS_Z: tl.constexpr,
    HAS_BIAS: tl.constexpr,
    HAS_LAST: tl.constexpr,
    SOFTPLUS: tl.constexpr,
    BLOCK_D: tl.constexpr,
    BLOCK_N: tl.constexpr,
):
    block = tl.program_id(0)
    d = block * BLOCK_D + tl.arange(0, BLOCK_D)
    n = tl.arange(0, BLOCK_N)
    row = tl.program_id(1).to(tl.int64)
    ok_d, ok_n = d < dim, n < state
    tile = d[:, None] * state + n[None, :]
    ok = ok_d[:, None] & ok_n[None, :]
    # this program's room: CHUNK tiles of states
    room = (row * tl.num_programs(0) + block) * CHUNK * BLOCK_D * BLOCK_N
    local = tl.arange(0, BLOCK_D)[:, None] * BLOCK_N + n[None, :]
    a = tl.load(A + tile, mask=ok, other=0.0)
    shift = tl.zeros((BLOCK_D,), dtype=tl.float32)
    skip = tl.zeros((BLOCK_D,), dtype=tl.float32)
    if HAS_BIAS:
        shift = tl.load(bias + d, mask=ok_d, other=0.0)
    if HAS_D:
        skip = tl.load(D + d, mask=ok_d, other=0.0)
    g = tl.zeros((BLOCK_D, BLOCK_N), dtype=tl.float32)
    if HAS_LAST:
        g = tl.load(dlast + row * dim * state + tile, mask=ok, other=0.0)
    sum_a = tl.zeros((BLOCK_D, BLOCK_N), dtype=tl.float32)
    sum_skip = tl.zeros((BLOCK_D,), dtype=tl.float32)
    sum_shift = tl.zeros((BLOCK_D,), dtype=tl.float32)
    for back in range(chunks):
        chunk = chunks - 1 - back
        first = chunk * CHUNK
        steps = tl.minimum(CHUNK, length - first)
        h = tl.load(starts + (row * chunks + chunk) * dim * state + tile, mask=ok, other=0.0)
        for i in range(steps):
            tl.store(scratch + room + i * BLOCK_D * BLOCK_N + local, h)
            at = row * length + first + i
            x = tl.load(u + at * dim + d, mask=ok_d, other=0.0).to(tl.float32)
            dt = tl.load(delta + at * dim + d, mask=ok_d, other=0.0).to(tl.float32) + shift
            if SOFTPLUS:
                dt = softplus(dt)
            b = tl.load(B + at * state + n, mask=ok_n, other=0.0)
            h = tl.exp(dt[:, None] * a) * h + (dt * x)[:, None] * b[None, :]
        tl.debug_barrier()
        for j in range(steps):
            i = steps - 1 - j
            at = row * length + first + i
            before = tl.load(scratch + room + i * BLOCK_D * BLOCK_N + local)
            x = tl.load(u + at * dim + d, mask=ok_d, other=0.0).to(tl.float32)
            raw = tl.load(delta + at * dim + d, mask=ok_d, other=0.0).to(tl.float32) + shift
            dt = raw
            if SOFTPLUS:
                dt = softplus(raw)
            b = tl.load(B + at * state + n, mask=ok_n, other=0.0)
            c = tl.load(C + at * state + n, mask=ok_n, other=0.0)
            dy = tl.load(dout + at * dim + d, mask=ok_d, other=0.0).to(tl.float32)
            decay = tl.exp(dt[:, None] * a)
            h = decay * before + (dt * x)[:, None] * b[None, :]
            if HAS_Z:
                gate = tl.load(z + at * dim + d, mask=ok_d, other=0.0).to(tl.float32)
                half = tl.sigmoid(gate)
                y = tl.sum(h * c[None, :], axis=1) + skip * x
                slope = half * (1 + gate * (1 - half))
                tl.store(dz + at * dim + d, (dy * y * slope).to(dz.dtype.element_ty), mask=ok_d)
                dy = dy * gate * half
            g += dy[:, None] * c[None, :]
            mine = ((row * tl.num_programs(0) + block) * length + first + i) * state + n
            tl.store(dC + mine, tl.sum(dy[:, None] * h, axis=0), mask=ok_n)
            tl.store(dB + mine, tl.sum(g * (dt * x)[:, None], axis=0), mask=ok_n)
            through = tl.sum(g * b[None, :], axis=1)
            moved = g * before * decay
            ddt = tl.sum(moved * a, axis=1) + through * x
            sum_a += moved * dt[:, None]
            sum_skip += dy * x
            grad_u = through * dt + skip * dy
            tl.store(du + at * dim + d, grad_u.to(du.dtype.element_ty), mask=ok_d)
            if SOFTPLUS:
                ddt = ddt * tl.sigmoid(raw)
            sum_shift += ddt
            tl.store(ddelta + at * dim + d, ddt.to(ddelta.dtype.element_ty), mask=ok_d)
            g = decay * g
        tl.debug_barrier()
    tl.store(dA + row * dim * state + tile, sum_a, mask=ok)
    if HAS_D:
        tl.store(dD + row * dim + d, sum_skip, mask=ok_d)
    if HAS_BIAS:
        tl.store(dbias + row * dim + d, sum_shift, mask=ok_d)
