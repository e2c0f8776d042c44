"""The script for a graphics card, rehearsed on the CPU: every part leaves its results and is not run again."""

import itertools
import json
import os
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "on_a_card.sh"


def run(results, *more):
    return subprocess.run(
        ["bash", SCRIPT, "--small", results, *more],
        capture_output=True,
        text=True,
        timeout=300,
        env=os.environ | {"PYTHON": sys.executable, "OMP_NUM_THREADS": "1"},
    )


def rows(file):
    return [json.loads(line) for line in file.read_text().splitlines()]


def test_every_part_leaves_its_results_and_is_not_run_again(tmp_path):
    done = run(tmp_path)
    assert done.returncode == 0, done.stderr + (tmp_path / "times.txt").read_text()
    looks, operators, painting, frames, films = (
        rows(tmp_path / f"{part}.jsonl") for part in ("looks", "operators", "painting", "frames", "films")
    )
    assert [row["network"] for row in looks] == ["stylerwkv-s", "stylemamba-s"]
    assert all(row["decibels"]["float32"] > 45 and not row["problems"] for row in looks), looks
    assert {row["op"] for row in operators} >= {
        "bi_wkv",
        "bi_wkv gradients",
        "selective_scan",
        "deform_shift",
    }
    assert {(row["network"], row["batch"], row["kernels"]) for row in painting} == set(
        itertools.product(("image", "text"), (1, 2), ("auto", "off"))
    )
    assert all(row["seconds"] > 0 and row["network_at_full_size_seconds"] > 0 for row in painting), painting
    assert [row["frames"] for row in frames] == [8]
    assert frames[0]["painted_per_second"] > 0
    assert [row["frames"] for row in films] == [4, 8]
    assert not any("problem" in row for row in films), films
    assert json.loads((tmp_path / "status.json").read_text())["operators"]
    assert "within their limits" in (tmp_path / "proof.txt").read_text()

    (tmp_path / "films.jsonl").unlink()
    again = run(tmp_path, "--minutes", "0")  # no time is left for what is missing
    assert again.returncode == 1
    assert "films.jsonl: no time left" in again.stderr
    assert "operators" not in again.stderr


def test_a_part_that_is_cut_off_has_said_what_it_measured():
    part = subprocess.Popen(
        [sys.executable, SCRIPT.with_suffix(".py"), "painting", "cpu", "--small"],
        stdout=subprocess.PIPE,
        env={name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
        | {"PYTHONPATH": str(SCRIPT.parents[1]), "OMP_NUM_THREADS": "1"},
    )
    first = part.stdout.readline()  # comes while the others are being measured
    part.kill()
    assert json.loads(first)["network"] == "image"
    assert len(part.communicate()[0].splitlines()) < 4  # the other network is not even loaded
