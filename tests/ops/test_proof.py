"""Kernels that are wrong, crash or hang: each is caught in a process of its own, left out, and told of once."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from build_kit import hasty
from conftest import draw
from PIL import Image

from stylecli import devices
from stylecli.__main__ import _run
from stylecli.errors import UsageError
from stylecli.ops import build, proof, prover

CPU = torch.device("cpu")
KERNELS = Path(__file__).parents[2] / "kernels"
FAULTS = {
    "adain": ("adain/adain.cpp", "= 1 / std[", "= 1.001f / std["),  # one constant
    "moments": ("moments/moments.cpp", "variance[b * C + c] =", "variance = nullptr, variance[b * C + c] ="),
    "depthwise3x3": (
        "depthwise3x3/depthwise3x3.cpp",
        "#pragma omp parallel for",
        "for (volatile int forever = 1; forever;) {}\n#pragma omp parallel for",
    ),
}


@pytest.fixture(scope="module")
def faulty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The kernels' sources with three faults, and what a compiler makes of them in ``cache``."""
    root = tmp_path_factory.mktemp("faulty")
    shutil.copytree(KERNELS, root / "kernels")
    for name, right, wrong in FAULTS.values():
        source = root / "kernels" / name
        assert right in source.read_text()
        source.write_text(source.read_text().replace(right, wrong))
    hasty(root / "c++")
    return root


@pytest.fixture
def at_faulty(faulty: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setattr(build, "source_folder", lambda: faulty / "kernels")
    monkeypatch.setitem(prover.SILENCE_S, "cpu", 8.0)
    monkeypatch.setenv("STYLIZE_CACHE", str(faulty / "cache"))
    monkeypatch.setenv("CXX", str(faulty / "c++"))
    monkeypatch.delenv("STYLIZE_KERNELS", raising=False)
    proof._sources.cache_clear()
    forget()
    yield faulty
    proof._sources.cache_clear()
    forget()


def forget() -> None:
    """As in a new process."""
    build.forget()
    proof.forget()


def painted(folder: Path, capfd: pytest.CaptureFixture[str]) -> tuple[np.ndarray, list[str]]:
    """A picture and the lines that were said."""
    draw(folder / "photo.png", 96, 64, seed=1)
    draw(folder / "style.png", seed=7)
    files = [str(folder / name) for name in ("photo.png", "style.png", "result.png")]
    assert _run(["image", files[0], "-s", files[1], "-o", files[2], "--overwrite", "--device", "cpu"]) == 0
    return np.asarray(Image.open(files[2]), dtype=int), capfd.readouterr().err.splitlines()


def test_faults_are_caught_told_once_and_left_out(
    at_faulty: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STYLIZE_KERNELS", "off")
    expected, _ = painted(tmp_path, capfd)
    monkeypatch.delenv("STYLIZE_KERNELS")
    result, said = painted(tmp_path, capfd)
    assert np.abs(result - expected).max() <= 1
    log = at_faulty / "cache" / "kernels" / "proof-cpu.log"
    told = [line for line in said if str(log) in line]
    first = proof.of(CPU).operators["adain"].problem
    assert told == [
        f"this CPU: compiled adain, depthwise3x3, moments not used (adain: {first}), "
        f"plain torch computes instead, slower; see {log}"
    ]
    text = log.read_text()
    assert "not done after 8 s" in text and "SIGSEGV" in text and "off by" in text

    # Whoever comes next reads what was recorded.
    forget()
    monkeypatch.setattr(proof, "prove", None)
    again, said = painted(tmp_path, capfd)
    assert np.array_equal(again, result)
    assert not [line for line in said if "proof" in line or "trying" in line]
    assert _run(["kernels", "status", "--json"]) == 0
    rows = {row["op"]: row for row in json.loads(capfd.readouterr().out)["operators"]}
    assert {op for op, row in rows.items() if row["problem"]} == set(FAULTS)
    assert all(rows[op]["path"] == "torch" for op in FAULTS)
    assert "off by 1.0e-03" in rows["adain"]["problem"]
    assert rows["depthwise3x3"]["problem"] == "not done after 8 s"
    assert "SIGSEGV" in rows["moments"]["problem"]
    assert rows["bi_wkv"]["proven"] and 0 < rows["bi_wkv"]["errors"]["float32"] < 1e-4


def test_every_operator_with_a_kernel_has_a_yardstick() -> None:
    from stylecli.ops.catalog import OPERATORS

    for kind, names in proof.KERNELS.items():
        assert [op.name for op in OPERATORS if kind in op.usable] == sorted(
            names, key=[op.name for op in OPERATORS].index
        )
    sources = {path.stem for path in KERNELS.glob("*/*.cpp")} - {"about"}
    # conv3x3.cpp holds both convolutions.
    assert sources | {"enlarged_conv3x3"} == set(proof.KERNELS["cpu"])
    assert {path.stem for path in KERNELS.glob("*/*.cu")} == set(proof.KERNELS["cuda"])


# Which device and number format, by what was seen. No card is needed to decide between some.


def seen(monkeypatch: pytest.MonkeyPatch, **paintings: dict[str, tuple[float, float]]) -> None:
    """Let there be devices, such as ``cuda0``, on which painting came out like this: decibels and seconds."""
    names = {torch.device(name[:-1], int(name[-1])): checks for name, checks in paintings.items()}
    monkeypatch.setattr(devices, "accelerators", lambda: list(names))
    monkeypatch.setattr(
        proof,
        "of",
        lambda device, network=None, weights=None: proof.Proof(
            "now",
            {},
            {network: {dtype: proof.PaintingCheck(*check) for dtype, check in names[device].items()}},
        ),
    )


REFERENCE = (float("inf"), 1.0)


@pytest.mark.parametrize(
    ("paintings", "device", "dtype"),
    [
        ({}, "cpu", torch.float32),
        (
            {"cuda0": {"reference": REFERENCE, "float32": (80, 0.2), "bfloat16": (48, 0.1), "float16": (60, 0.3)}},
            "cuda:0",
            torch.bfloat16,
        ),
        (
            {"cuda0": {"reference": REFERENCE, "float32": (80, 0.2), "bfloat16": (31, 0.1), "float16": (60, 0.15)}},
            "cuda:0",
            torch.float16,
        ),
        (  # an H200's, where all wait for Python
            {
                "cuda0": {
                    "reference": REFERENCE,
                    "float32": (85, 0.00487),
                    "bfloat16": (53, 0.00509),
                    "float16": (71, 0.00491),
                }
            },
            "cuda:0",
            torch.float16,
        ),
        (
            {"cuda0": {"reference": REFERENCE, "float32": (85, 0.1), "float16": (71, 0.12)}},  # emulated
            "cuda:0",
            torch.float32,
        ),
        ({"mps0": {"reference": REFERENCE, "float32": (20, 0.01)}}, "cpu", torch.float32),  # paints something else
        ({"xpu0": {"reference": REFERENCE, "float32": (90, 1.5)}}, "cpu", torch.float32),  # slower
        (
            {
                "cuda0": {"reference": REFERENCE, "float32": (90, 0.5)},
                "cuda1": {"reference": REFERENCE, "float32": (90, 0.4)},
            },
            "cuda:1",
            torch.float32,
        ),
        ({"cuda0": {}}, "cpu", torch.float32),  # could not be tried out
    ],
)  # fmt: skip
def test_auto_takes_the_fastest_that_paints_as_the_cpu_does(
    monkeypatch: pytest.MonkeyPatch,
    paintings: dict[str, dict[str, tuple[float, float]]],
    device: str,
    dtype: torch.dtype,
) -> None:
    seen(monkeypatch, **paintings)
    chosen = devices.choose_device("auto")
    assert str(chosen) == device
    assert devices.choose_dtype("auto", chosen, bf16_on_cpu=False) == dtype


def test_devices_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    seen(monkeypatch, cuda0={}, cuda1={})
    assert [str(devices.choose_device(name)) for name in ("cpu", "cuda", "cuda:1")] == [
        "cpu",
        "cuda:0",
        "cuda:1",
    ]
    for name in ("cuda:2", "mps", "xpu:1", "tpu"):
        with pytest.raises(UsageError, match=f"--device {name}"):
            devices.choose_device(name)


@pytest.mark.parametrize(
    ("outcome", "again"),
    [
        (prover.Outcome(paintings={"float32": (60.0, 0.1)}), False),
        (prover.Outcome(), True),  # its weights were not there
        (prover.Outcome(started=False, painting_problem="could not be tried out"), True),
    ],
    ids=["seen", "not loaded", "not started"],
)
def test_what_was_not_seen_is_not_recorded(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, outcome: prover.Outcome, again: bool
) -> None:
    monkeypatch.setenv("STYLIZE_CACHE", str(tmp_path))
    asked = []
    monkeypatch.setattr(proof, "prove", lambda job: asked.append(job) or outcome)
    device = torch.device("mps")  # of which nothing has to be there to be asked for
    for _ in range(2):
        proof.forget()
        for _ in range(2):
            proof.of(device, "siglip-sd")
    assert len(asked) == 1 + again
    proof.forget()


def test_a_painting_that_goes_wrong_later_takes_back_what_was_proven(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("STYLIZE_CACHE", str(tmp_path))
    monkeypatch.delenv("STYLIZE_KERNELS", raising=False)
    monkeypatch.setitem(proof.KERNELS, "mps", ("adain", "moments"))
    fine = prover.Outcome(
        {"adain": prover.OperatorOutcome(), "moments": prover.OperatorOutcome(problem="crashed")}
    )
    answers = {"stylerwkv-s": fine, "siglip-sd": prover.Outcome(painting_problem="crashed, SIGSEGV")}
    jobs: list[prover.Job] = []
    monkeypatch.setattr(proof, "prove", lambda job: jobs.append(job) or answers[job.network])
    device = torch.device("mps")
    proof.forget()
    assert proof.allows("adain", device) and not proof.allows("moments", device)
    proof.of(device, "siglip-sd")
    assert [(job.operators, job.without) for job in jobs] == [(("adain", "moments"), []), ((), ["moments"])]
    for _ in range(2):  # in this process and in the next one
        assert not proof.allows("adain", device)
        assert proof.of(device).operators["moments"].problem == "crashed"
        proof.forget()
