"""The CUDA kernels without a card: their logic on the CPU, and that the compilers of cards take them.

``cuda_on_host.h`` lets the system's C++ compiler make the very same sources, and runs them thread by thread. What
this cannot show is that the driver takes them, and how fast they are: ``stylize kernels test`` on a card does.
"""

import shutil
import subprocess
from functools import partial

import cuda_kit
import pytest
import torch
from cuda_kit import LIMITS, TYPES, error, guarded_call

from stylecli.ops import cuda, nvrtc
from stylecli.ops.bi_wkv import bi_wkv, bi_wkv_reference
from stylecli.ops.bi_wkv import cuda as bi_wkv_cuda
from stylecli.ops.cache import BuildError
from stylecli.ops.deform_shift import cuda as deform_cuda
from stylecli.ops.deform_shift import deform_shift_reference
from stylecli.ops.selective_scan import cuda as scan_cuda
from stylecli.ops.skip_scan import skip_scan_order

compiled, on_host = cuda_kit.compiled, cuda_kit.on_host  # fixtures
OPERATORS = (
    "bi_wkv",
    "deform_shift",
    "selective_scan",
    "moments",
    "adain",
    "depthwise3x3",
    "bordered",
    "gates",
)


def assert_close(names, got, expected, limit):
    for name, g, e in zip(names, got, expected, strict=True):
        if e.abs().max() < 1e-12:  # such as the decay's gradient for a single token
            assert g.abs().max() < 1e-5, name
        else:
            assert error(g, e) < limit, name


# bi-WKV


def wkv_case(T, C=5, B=2, dtype=torch.float32, seed=0):
    random = torch.Generator().manual_seed(seed)
    w = torch.rand(C, generator=random) * 20
    u = torch.randn(C, generator=random)
    k, v = (torch.randn(2, B, T, C, generator=random)).to(dtype)
    return w, u, k, v


def wkv_gradients(function, inputs, grad):
    exact = [x.double().requires_grad_() for x in inputs]
    y = function(*exact)
    return y.detach(), torch.autograd.grad(y, exact, grad.double())


def check_wkv(inputs, limit, reference=bi_wkv_reference, shift=0):
    grad = torch.randn(inputs[2].shape, generator=torch.Generator().manual_seed(1)).to(inputs[2].dtype)
    y, gradients = wkv_gradients(reference, inputs, grad)
    got, denominator = guarded_call(bi_wkv_cuda.bi_wkv, *inputs, shift=shift)
    assert got.dtype == inputs[2].dtype
    assert error(got, y) < limit
    got = guarded_call(bi_wkv_cuda.bi_wkv_backward, grad, *inputs, got, denominator, shift=shift)
    assert_close("wukv", got, gradients, 3 * limit)


@pytest.mark.parametrize("T", [1, 2, 15, 33, 64, 129, 600])
def test_wkv_at_any_length(on_host, T):
    check_wkv(wkv_case(T), LIMITS[torch.float32])


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize(
    ("C", "shift"), [(40, 0), (72, 0), (35, 0), (40, 4)], ids=["wide", "several groups", "odd", "unaligned"]
)
def test_wkv_in_every_type_and_width(on_host, dtype, C, shift):
    check_wkv(wkv_case(300, C=C, B=1, dtype=dtype), LIMITS[dtype], shift=shift)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda w, u, k, v: (w, u, k * 80, v), id="keys of ±80 and beyond"),
        pytest.param(lambda w, u, k, v: (w * 0, u, k, v), id="no decay"),
        pytest.param(lambda w, u, k, v: (-w, u, k, v), id="growing weights"),
        pytest.param(lambda w, u, k, v: (w * 0 - 60, u, k, v), id="growing fast"),
        pytest.param(lambda w, u, k, v: (w, u * 0 + 20, k, v), id="bonus 20"),
        pytest.param(lambda w, u, k, v: (w, u * 0 - 20, k, v), id="bonus -20"),
    ],
)
@pytest.mark.parametrize("T", [1, 7, 290])
def test_wkv_of_extreme_values(on_host, change, T):
    inputs = change(*wkv_case(T, B=1))
    y = bi_wkv_reference(*inputs)
    got, denominator = guarded_call(bi_wkv_cuda.bi_wkv, *inputs, False)
    assert denominator is None
    assert error(got, y) < 1e-4


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_wkv_of_pairs_across_words(on_host, dtype):
    """Two channels of 16 bits, which one thread takes, need not lie in one word."""
    w, u, k, v = wkv_case(200, C=40, B=1, dtype=dtype)
    moved = torch.cat([k.new_zeros(1), k.flatten()])[1:].view(k.shape)
    assert moved.data_ptr() % 4 == 2
    y, _ = guarded_call(lambda: bi_wkv_cuda.bi_wkv(w, u, moved, v))
    assert error(y, bi_wkv_reference(w, u, k, v)) < LIMITS[dtype]


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("C", [5, 40])
def test_wkv_in_another_order(on_host, dtype, C):
    """As skip-scanning visits them, with the tokens where they are."""
    w, u, k, v = wkv_case(15 * 21, C=C, dtype=dtype)
    order, inverse = skip_scan_order(15, 21, 2, columns=True)
    expected = bi_wkv_reference(w, u, k[:, order], v[:, order])[:, inverse]
    y, _ = guarded_call(bi_wkv_cuda.bi_wkv, w, u, k, v, False, order)
    assert error(y, expected) < LIMITS[dtype]


@pytest.mark.parametrize(("T", "limit"), [(34_000, 1e-4)])
def test_wkv_of_many_chunks(on_host, T, limit):
    """More chunks than a block of `carry` has segments, in both passes."""
    check_wkv(wkv_case(T, C=2, B=1), limit, reference=bi_wkv)


@pytest.mark.parametrize("cuts", [(), (1, 2), (129,), (100, 400)], ids=str)
@pytest.mark.parametrize("keys", [1, 60])
def test_wkv_in_parts(on_host, monkeypatch, cuts, keys):
    """States from both sides go into the kernels' own sums."""
    w, u, k, v = wkv_case(600, C=5, B=2)
    k = keys * k
    k[:, 300:] += keys  # the largest key is not in every part
    behind, before, results = [None], None, []
    pairs = list(zip(torch.tensor_split(k, cuts, 1), torch.tensor_split(v, cuts, 1), strict=True))
    for pair in pairs[:0:-1]:
        behind.append(bi_wkv_cuda.bi_wkv_segment(w, u, *pair, 600, None, behind[-1], False)[2])
    for pair, right in zip(pairs, reversed(behind), strict=True):
        y, before, _ = bi_wkv_cuda.bi_wkv_segment(w, u, *pair, 600, before, right, True)
        results.append(y)
    assert error(torch.cat(results, 1), bi_wkv_reference(w, u, k, v)) < LIMITS[torch.float32]


# Selective scan


def scan_reference(u, delta, A, B, C, D, z, bias, softplus):
    step = delta if bias is None else delta + bias
    step = torch.nn.functional.softplus(step) if softplus else step
    h = u.new_zeros(u.shape[0], *A.shape)  # (batch, D, N)
    rows = []
    for t in range(u.shape[1]):
        h = torch.exp(step[:, t, :, None] * A) * h + (step * u)[:, t, :, None] * B[:, t, None]
        rows.append((h * C[:, t, None]).sum(-1) + D * u[:, t])
    y = torch.stack(rows, 1)
    return y if z is None else y * torch.nn.functional.silu(z)


def scan_case(L, D=9, N=3, batch=2, dtype=torch.float32, full=True):
    random = torch.Generator().manual_seed(0)
    draw = partial(torch.randn, generator=random)
    A = -torch.rand(D, N, generator=random) * 4
    u, delta, z = draw(3, batch, L, D).to(dtype)
    B, C = draw(2, batch, L, N)
    if full:
        return u, delta, A, B, C, draw(D), z, draw(D)
    return u, delta.abs(), A, B, C, draw(D), None, None


@pytest.mark.parametrize(
    ("L", "D", "N", "dtype", "full"),
    [
        (1, 9, 3, torch.float32, True),
        (2, 3, 3, torch.float32, False),
        (33, 70, 3, torch.float32, True),
        (150, 9, 3, torch.bfloat16, True),
        (150, 9, 3, torch.float16, True),
        (300, 3, 3, torch.float32, False),
        (40, 65, 64, torch.bfloat16, True),
    ],
)
def test_selective_scan(on_host, L, D, N, dtype, full):
    """With gate, bias and softplus, or with none of them."""
    inputs = scan_case(L, D, N, dtype=dtype, full=full)
    exact = [None if x is None else x.double().requires_grad_() for x in inputs]
    expected = scan_reference(*exact, full)
    grad = torch.randn(expected.shape, generator=torch.Generator().manual_seed(1)).to(dtype)
    there = [x for x in exact if x is not None]
    gradients = torch.autograd.grad(expected, there, grad.double())
    y = guarded_call(scan_cuda.selective_scan, *inputs, full)
    assert y.dtype == dtype
    assert error(y, expected.detach()) < LIMITS[dtype]
    got = guarded_call(scan_cuda.selective_scan_backward, grad, *inputs, full)
    assert [g is None for g in got] == [x is None for x in inputs]
    names = ("u", "delta", "A", "B", "C", "D", "z", "bias")[: len(there)]
    assert_close(names, [g for g in got if g is not None], gradients, LIMITS[dtype])


def test_selective_scan_in_parts(on_host):
    inputs = scan_case(150)
    expected = scan_reference(*(x.double() for x in inputs), True)
    state, results = None, []
    cuts = (1, 70)
    for u, delta, B, C, z in zip(
        *(torch.tensor_split(inputs[i], cuts, 1) for i in (0, 1, 3, 4, 6)), strict=True
    ):
        last = torch.empty(2, 9, 3)
        more = (inputs[5], z, inputs[7], True, state, last)
        results.append(scan_cuda.selective_scan(u, delta, inputs[2], B, C, *more))
        state = last
    assert error(torch.cat(results, 1), expected) < LIMITS[torch.float32]


# Deform-shift


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize(
    ("size", "C"), [((5, 7), 16), ((5, 7), 20), ((1, 1), 12), ((5, 7), 24), ((1, 9), 32), ((20, 30), 32)]
)
def test_deform_shift(on_host, dtype, size, C):
    random = torch.Generator().manual_seed(0)
    x = torch.randn(2, *size, C, generator=random).to(dtype)
    whole = torch.randint(-3, 3, (2, *size, 2, 2), generator=random)  # also outside of the border
    offset = (whole + 0.25 + torch.rand(whole.shape, generator=random) / 2).to(dtype)
    exact = [t.double().requires_grad_() for t in (x, offset)]
    expected = deform_shift_reference(*exact)
    grad = torch.randn(expected.shape, generator=random).to(dtype)
    gradients = torch.autograd.grad(expected, exact, grad.double())
    y = guarded_call(deform_cuda.deform_shift, x, offset)
    assert y.dtype == dtype
    assert error(y, expected.detach()) < LIMITS[dtype]
    got = guarded_call(deform_cuda.deform_shift_backward, grad, x, offset)
    assert_close(("x", "offset"), got, gradients, LIMITS[dtype])


@pytest.mark.parametrize(
    ("dtype", "other"), [(torch.float32, torch.bfloat16), (torch.bfloat16, torch.float32)]
)
def test_deform_shift_under_autocast(on_host, monkeypatch, dtype, other):
    """Which leaves tokens and displacements in two types."""
    monkeypatch.setattr(cuda, "takes", lambda *tensors: True)
    x, offset = torch.randn(1, 5, 7, 16).to(dtype), torch.rand(1, 5, 7, 2, 2).to(other)
    assert deform_cuda.usable(x, offset, backward=True)
    exact = [t.double().requires_grad_() for t in (x, offset)]
    expected = deform_shift_reference(*exact)
    y = guarded_call(deform_cuda.deform_shift, x, offset)
    assert y.dtype == torch.float32
    assert error(y, expected.detach()) < LIMITS[torch.float32]
    grad = torch.randn(x.shape).to(dtype)
    got = guarded_call(deform_cuda.deform_shift_backward, grad, x, offset)
    gradients = torch.autograd.grad(expected, exact, grad.double())
    assert_close(("x", "offset"), got, gradients, LIMITS[torch.float32])


def test_deform_shift_by_nan_reads_inside(on_host):
    x, offset = torch.randn(1, 3, 3, 8), torch.full((1, 3, 3, 1, 2), float("nan"))
    torch.testing.assert_close(
        guarded_call(deform_cuda.deform_shift, x, offset), x[:, :1, :1].expand(x.shape)
    )


# All


def test_order_of_threads_does_not_matter(on_host):
    """A missing barrier would show: what one thread writes would be there for another, or not."""
    wkv, scan = wkv_case(150, C=37, B=1), scan_case(70, D=66, N=3, batch=1)

    def everything():
        y, denominator = bi_wkv_cuda.bi_wkv(*wkv)
        z = scan_cuda.selective_scan(*scan, True)
        return (
            y,
            *bi_wkv_cuda.bi_wkv_backward(y, *wkv, y, denominator),
            z,
            *scan_cuda.selective_scan_backward(z, *scan, True),
        )

    ascending = everything()
    on_host(descending=True)
    for one, other in zip(ascending, everything(), strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("defines", [("-DONLY_bf16",), ("-DSTATES=64", "-DTILE=8", "-DONLY_f32")], ids=str)
def test_nvcc_compiles_for_every_card(tmp_path, defines):
    if not shutil.which("nvcc"):
        pytest.skip("no nvcc")
    archs = (75, 80, 86, 89, 90, 120) if len(defines) == 1 else (75,)
    code = [f"-gencode=arch=compute_{arch},code=sm_{arch}" for arch in archs]
    names = OPERATORS if len(defines) == 1 else ("bi_wkv", "selective_scan")
    sources = [str(cuda.source_of(name)) for name in names]
    command = ["nvcc", "-fatbin", "-std=c++17", "--threads=2", *code, *defines, "-odir", str(tmp_path)]
    subprocess.run([*command, *sources], check=True, cwd=tmp_path)
    assert len(list(tmp_path.iterdir())) == len(names)


@pytest.mark.parametrize("operator", OPERATORS)
def test_nvrtc_compiles(operator):
    try:
        nvrtc.find()
    except BuildError as reason:
        pytest.skip(str(reason))
    kinds = [f"ONLY_{name}" for name in cuda.STORAGE.values()]
    code = nvrtc.compile_source(cuda.source_of(operator), nvrtc.architecture((8, 6)), kinds[:1])
    assert code[:4] == b"\x7fELF"
    assert f"{operator}_".encode() in code
