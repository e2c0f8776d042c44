"""The kernel benchmark on small sizes: every row is filled in, and the command shows it."""

import json

import pytest
import torch
from typer.testing import CliRunner

from stylecli.bench import kernel_cases, kernels
from stylecli.cli.app import app
from stylecli.ops import moments

CPU = torch.device("cpu")


def small_cases(device=CPU):
    for dtype in (torch.float32, torch.bfloat16):
        yield from kernel_cases.bi_wkv_cases(70, 5, dtype, device)
        yield from kernel_cases.selective_scan_cases(70, 5, 3, dtype, device)
        yield from kernel_cases.deform_shift_cases(6, 8, 4, dtype, device)
    yield from kernel_cases.painting_cases(8, 16)
    yield from kernel_cases.size_cases((60, 80), (16, 21))


@pytest.fixture
def quick(monkeypatch):
    timed = kernels.seconds
    monkeypatch.setattr(kernels, "seconds", lambda run, device, budget=None: timed(run, device, 0))
    monkeypatch.setattr(kernels, "cases", small_cases)


def test_every_operator_both_ways_and_both_types(quick):
    before = torch.get_num_threads()
    rows = list(kernels.run(CPU, 1))
    assert torch.get_num_threads() == before
    assert len({(row.op, row.size, row.dtype) for row in rows}) == len(rows) == 20
    for row in rows:
        assert row.seconds > 0 and row.bandwidth > 0 and row.torch_ratio > 0 and row.read_ratio > 0
        assert (row.loop_ratio is not None) == (row.op == "bi_wkv")


def test_floor_counts_inputs_once_and_results_once():
    forward, backward = kernel_cases.bi_wkv_cases(64, 10, torch.float32, CPU)
    elements = 64 * 10 * 4
    assert kernels.measure(forward, 1e9).floor_bytes == 3 * elements  # k, v, y
    assert (
        kernels.measure(backward, 1e9).floor_bytes == 5 * elements + 80
    )  # grad, k, v; two gradients, and of w, u


def test_the_loop_it_compares_with_is_right():
    w, u, k, v = torch.linspace(0, 5, 3), torch.ones(3), *torch.randn(2, 1, 40, 3)
    torch.testing.assert_close(
        kernel_cases._token_loop(w, u, k, v), kernel_cases.bi_wkv(w, u, k, v), rtol=1e-4, atol=1e-4
    )


def test_moments_are_compared_with_what_is_taken_without_kernels(monkeypatch):
    taken = []
    monkeypatch.setenv("STYLIZE_KERNELS", "off")
    case = next(case for case in kernel_cases.painting_cases(8, 16) if case.op == "moments")
    for place in (moments, kernel_cases):
        monkeypatch.setattr(place, "plain_moments", lambda x, place=place: taken.append(place))
    case.run(), case.torch_run()
    assert taken == [moments, kernel_cases]


def test_command_shows_a_table_or_json(quick):
    result = CliRunner().invoke(app, ["bench", "kernels", "--device", "cpu", "--threads", "1"])
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert lines[0].split()[:3] == ["operator", "size", "dtype"]
    assert len(lines) == 21
    result = CliRunner().invoke(app, ["bench", "kernels", "--device", "cpu", "--json"])
    rows = [json.loads(line) for line in result.stdout.splitlines()]
    assert {row["op"] for row in rows} >= {"bi_wkv", "selective_scan", "deform_shift gradients"}
