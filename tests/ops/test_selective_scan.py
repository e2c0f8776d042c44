"""Selective scan: every path against the fp64 loop over tokens."""

import pytest
import torch

from stylecli.models.style_mamba.blocks import ConditionalScan
from stylecli.models.style_mamba.config import StyleMambaConfig
from stylecli.ops import build
from stylecli.ops.selective_scan import (
    chunked,
    compiled,
    selective_scan,
    selective_scan_from,
    selective_scan_reference,
)

PATHS = {
    "torch": (chunked.selective_scan_chunked, chunked.selective_scan_chunked_backward),
    "compiled": (compiled.selective_scan, compiled.selective_scan_backward),
}
NAMES = ("u", "delta", "A", "B", "C", "D", "z", "delta_bias")


@pytest.fixture(params=PATHS)
def path(request):
    if request.param == "compiled" and build.load() is None:
        pytest.skip("no C++ compiler here")
    return PATHS[request.param]


def case(L, D=5, N=4, batch=2, *, gate=True, seed=0):
    """As at the start of a training: step sizes about 0.01 to 0.1, decay rates -1 to -N. In float64."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape):
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    A = -torch.arange(1, N + 1).double().repeat(D, 1) * torch.exp(0.1 * normal(D, N))
    u, delta, z = normal(3, batch, L, D)
    B, C = normal(2, batch, L, N)
    tensors = [u, delta, A, B, C, normal(D), z, normal(D) - 3]
    return tensors if gate else [*tensors[:6], None, None]


def cast(tensors, dtype):
    return [None if t is None else t.to(dtype) for t in tensors]


def relative_rms(y, reference):
    return ((y.double() - reference).norm() / reference.norm()).item()


def formula_gradients(inputs, grad, softplus):
    exact = [None if t is None else t.double().requires_grad_() for t in inputs]
    present = [t for t in exact if t is not None]
    return torch.autograd.grad(selective_scan_reference(*exact, softplus), present, grad.double())


@pytest.mark.parametrize("L", [1, 2, 15, 31, 33, 64, 257, 1000])
def test_agrees_with_the_formula_at_any_length(path, L):
    inputs = case(L)
    assert (
        relative_rms(path[0](*cast(inputs, torch.float32), True), selective_scan_reference(*inputs, True))
        < 3e-6
    )


@pytest.mark.parametrize(("batch", "D", "N"), [(1, 19, 16), (3, 33, 1), (1, 16, 5), (3, 300, 3)])
def test_agrees_with_the_formula_at_any_width(path, batch, D, N):
    for gate in (False, True):
        inputs = case(70, D, N, batch, gate=gate)
        y = path[0](*cast(inputs, torch.float32), True)
        assert relative_rms(y, selective_scan_reference(*inputs, True)) < 3e-6


def test_without_softplus(path):
    inputs = case(70, gate=False)
    inputs[1] = inputs[1].abs() * 0.1
    y = path[0](*cast(inputs, torch.float32), False)
    assert relative_rms(y, selective_scan_reference(*inputs, False)) < 3e-6


def test_long_sequences_stay_accurate(path):
    inputs = case(65537, D=2, N=2, batch=1)
    inputs[2] *= 1e-3  # a memory of many thousand tokens
    y = path[0](*cast(inputs, torch.float32), True)
    assert relative_rms(y, chunked.selective_scan_chunked(*inputs, True)) < 5e-5  # issue B asks for 5e-4


def test_float64_is_exact_to_rounding():
    inputs = case(530)
    y = selective_scan(*inputs, True)  # longer than two chunks
    torch.testing.assert_close(y, selective_scan_reference(*inputs, True), rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("batch", [1, 3])
def test_bfloat16_is_read_and_written_as_it_is(batch):
    if build.load() is None:
        pytest.skip("no C++ compiler here")
    inputs = [
        t.bfloat16() if name in ("u", "delta", "z") else t.float()
        for name, t in zip(NAMES, case(100, 19, batch=batch), strict=True)
    ]
    y = compiled.selective_scan(*inputs, True)
    assert y.dtype == torch.bfloat16
    assert relative_rms(y, selective_scan_reference(*inputs, True)) < 3e-3
    got = compiled.selective_scan_backward(y, *inputs, True)
    for name, x, g, e in zip(NAMES, inputs, got, formula_gradients(inputs, y, True), strict=True):
        assert g.dtype == x.dtype
        assert relative_rms(g, e) < 4e-3, name


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda t: {"delta": t["delta"] * 0 + 80}, id="steps of 80: decays of nothing"),
        pytest.param(lambda t: {"delta": t["delta"] * 0 - 80}, id="steps of nothing"),
        pytest.param(lambda t: {"delta": t["delta"] * 30}, id="steps from nothing to 100"),
        pytest.param(lambda t: {"A": t["A"] * 1e4}, id="decay rates of -10000"),
        pytest.param(lambda t: {"A": t["A"] * 0}, id="no decay"),
        pytest.param(lambda t: {"A": t["A"] * -0.01}, id="growing states"),
        pytest.param(lambda t: {"z": t["z"] * 80}, id="gates of ±80 and beyond"),
    ],
)
@pytest.mark.parametrize("L", [1, 40, 300])
def test_extreme_values_stay_finite_and_right(path, change, L):
    tensors = dict(zip(NAMES, case(L), strict=True))
    inputs = list((tensors | change(tensors)).values())
    single = cast(inputs, torch.float32)
    y = path[0](*single, True)
    assert torch.isfinite(y).all()
    assert relative_rms(y, selective_scan_reference(*inputs, True)) < 1e-5
    assert all(torch.isfinite(g).all() for g in path[1](torch.ones_like(y), *single, True))


@pytest.mark.parametrize(
    ("L", "batch", "D", "N"), [(1, 1, 1, 1), (31, 3, 19, 5), (64, 1, 16, 16), (300, 1, 300, 2)]
)
@pytest.mark.parametrize("gate", [False, True])
def test_gradients_agree_with_the_formula(path, L, batch, D, N, gate):
    inputs = case(L, D, N, batch, gate=gate)
    grad = torch.randn(batch, L, D, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    expected = iter(formula_gradients(inputs, grad, True))
    got = path[1](grad.float(), *cast(inputs, torch.float32), True)
    for name, x, g in zip(NAMES, inputs, got, strict=True):
        assert (g is None) == (x is None)
        if g is not None:
            e = next(expected)
            assert (g.double() - e).norm() <= 1e-5 * e.norm(), name  # with one token, A's gradient is zero


def test_gradients_of_long_sequences_agree_between_paths():
    if build.load() is None:
        pytest.skip("no C++ compiler here")
    inputs = case(65537, D=2, N=2, batch=1)
    grad = torch.randn(1, 65537, 2, dtype=torch.float64)
    expected = chunked.selective_scan_chunked_backward(grad, *inputs, True)
    got = compiled.selective_scan_backward(grad.float(), *cast(inputs, torch.float32), True)
    for name, g, e in zip(NAMES, got, expected, strict=True):
        assert relative_rms(g, e) < 1e-4, name


@pytest.mark.parametrize("gate", [False, True])
def test_gradcheck_across_chunks(monkeypatch, gate):
    monkeypatch.setattr(chunked, "CHUNK", 4)
    monkeypatch.setattr(chunked, "STRIP", 2)
    inputs = case(11, D=2, N=2, batch=2, gate=gate)
    present = [t.requires_grad_() for t in inputs if t is not None]
    absent = [None] * (8 - len(present))
    assert torch.autograd.gradcheck(lambda *t: selective_scan(*t, *absent, gate), present)


def test_torch_path_needs_memory_for_one_chunk_of_states_only():
    class Largest(torch.utils._python_dispatch.TorchDispatchMode):
        elements = 0

        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            out = func(*args, **(kwargs or {}))
            if isinstance(out, torch.Tensor):
                self.elements = max(self.elements, out.numel())
            return out

    inputs = case(1024, D=4, N=8, batch=1)
    with Largest() as largest:
        chunked.selective_scan_chunked_backward(inputs[0], *inputs, True)
    assert largest.elements <= max(chunked.CHUNK * 4 * 8, 1024 * 8) < 1024 * 4 * 8 / 3


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_bits_do_not_depend_on_the_number_of_threads(dtype):
    if build.load() is None:
        pytest.skip("no C++ compiler here")
    inputs = cast(case(100, D=300, N=5, batch=1), dtype)
    threads, results = torch.get_num_threads(), []
    try:
        for n in (1, 2):
            torch.set_num_threads(n)
            y = compiled.selective_scan(*inputs, True)
            results.append((y, *compiled.selective_scan_backward(y, *inputs, True)))
    finally:
        torch.set_num_threads(threads)
    assert all(torch.equal(one, two) for one, two in zip(*results, strict=True))


def test_non_contiguous_inputs_through_the_operator():
    inputs = case(50)
    u, delta, z = torch.stack([inputs[0], inputs[1], inputs[6]], -1).float().unbind(-1)
    single = cast(inputs, torch.float32)
    y = selective_scan(u, delta, *single[2:6], z, single[7], True)
    assert relative_rms(y, selective_scan_reference(*inputs, True)) < 3e-6


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("gate", [False, True])
def test_operator_is_registered_rightly(dtype, gate):
    inputs = [None if t is None else t.to(dtype).requires_grad_() for t in case(9, gate=gate)]
    tests = ("test_schema", "test_autograd_registration", "test_faketensor")
    torch.library.opcheck(torch.ops.stylecli.selective_scan.default, (*inputs, gate), test_utils=tests)


def test_torch_compile_does_not_break_the_graph():
    from torch._dynamo.testing import CompileCounterWithBackend

    counter = CompileCounterWithBackend("eager")
    inputs = cast(case(20), torch.float32)
    y = torch.compile(lambda *a: selective_scan(*a, True) * 2, backend=counter, fullgraph=True)(*inputs)
    torch.testing.assert_close(y, selective_scan(*inputs, True) * 2)
    assert counter.frame_count == 1


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (13, 3), (9, 70)])
@pytest.mark.parametrize("channels", [4, 72, 128])
def test_of_a_map_in_four_directions_at_once(size, channels, monkeypatch):
    """The kernel for painting against the same layer, one direction after the other."""
    if build.load() is None:
        pytest.skip("no C++ compiler here")
    torch.manual_seed(0)
    layer = ConditionalScan(channels, StyleMambaConfig()).requires_grad_(False)
    x = torch.randn(2, channels, *size).contiguous(memory_format=torch.channels_last)
    code = 3 * torch.randn(2, StyleMambaConfig().code)
    y = layer(x, code)
    expected = layer(x, code.requires_grad_())  # gradients are wanted: the way of training
    assert expected.grad_fn is not None and y.grad_fn is None
    torch.testing.assert_close(y, expected.detach(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("cuts", [(1,), (40, 41, 200), (256,)], ids=str)
@pytest.mark.parametrize("mode", ["auto", "off"])
def test_states_go_on_from_one_part_to_the_next(monkeypatch, mode, cuts):
    monkeypatch.setenv("STYLIZE_KERNELS", mode)
    inputs = case(300, gate=False)
    whole = cast(inputs, torch.float32)
    state, parts = None, []
    for part in zip(*(torch.tensor_split(whole[i], cuts, 1) for i in (0, 1, 3, 4)), strict=True):
        u, delta, B, C = part
        y, state = selective_scan_from(state, u, delta, whole[2], B, C, whole[5], softplus=True)
        parts.append(y)
    expected = selective_scan_reference(*inputs[:6], softplus=True)
    assert relative_rms(torch.cat(parts, 1), expected) < 1e-6
    longer = selective_scan_reference(
        *(torch.cat([x, x], 1) if x.ndim == 3 else x for x in inputs[:6]), softplus=True
    )
    again, _ = selective_scan_from(state, *whole[:6], softplus=True)
    assert relative_rms(again, longer[:, 300:]) < 1e-6
