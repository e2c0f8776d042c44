"""The script for a graphics card, rehearsed on the CPU: every part leaves its results and is not run again."""

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


def test_every_part_leaves_its_results_and_is_not_run_again(tmp_path):
    done = run(tmp_path)
    assert done.returncode == 0, done.stderr + (tmp_path / "times.txt").read_text()
    operators = json.loads((tmp_path / "operators.json").read_text())
    assert {row["op"] for row in operators} >= {
        "bi_wkv",
        "bi_wkv gradients",
        "selective_scan",
        "deform_shift",
    }
    painting = json.loads((tmp_path / "painting.json").read_text())
    assert {(row["network"], row["batch"]) for row in painting} == {
        ("image", 1), ("image", 2), ("text", 1), ("text", 2),
    }  # fmt: skip
    assert all(row["seconds"] > 0 and row["network_at_full_size_seconds"] > 0 for row in painting), painting
    films = json.loads((tmp_path / "films.json").read_text())
    assert [row["frames"] for row in films] == [4, 8]
    assert not any("problem" in row for row in films), films
    assert json.loads((tmp_path / "status.json").read_text())["operators"]
    assert "within their limits" in (tmp_path / "proof.txt").read_text()

    (tmp_path / "films.json").unlink()
    again = run(tmp_path, "--minutes", "0")  # no time is left for what is missing
    assert again.returncode == 1
    assert "films.json: no time left" in again.stderr
    assert "operators" not in again.stderr
