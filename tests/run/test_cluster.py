"""A Ray cluster of two nodes on this machine: the same files as from one process, whatever dies."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import psutil
import pytest
from conftest import COMMAND, Stylize, draw, environment
from film_kit import look, three_scenes
from processes_kit import heed_ctrl_c
from s3_kit import s3_server

from stylecli.errors import UsageError
from stylecli.files.cache import cache_dir, digest_of
from stylecli.paint.options import LoadOptions
from stylecli.run.actor import Actor, Order
from stylecli.run.cluster import Cluster, Seat, _Actor, _Actors
from stylecli.run.images import ImageJob
from stylecli.run.shipping import Parcel, parcels, refined_here, unpacked, version
from stylecli.run.style_specs import StyleSpec
from stylecli.run.worker import Broken, Over, Ready

COUNT = 40


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """The address of two nodes with one core each, and the cache that they have in common (not ours)."""
    pytest.importorskip("ray")
    from ray.cluster_utils import Cluster as Nodes

    cache = tmp_path_factory.mktemp("cache")
    for name in ("kernels", "proofs"):  # compiled once
        if (cache_dir() / name).is_dir():
            (cache / name).symlink_to(cache_dir() / name)
    with s3_server(), pytest.MonkeyPatch.context() as patch:
        patch.setenv("STYLIZE_CACHE", str(cache))
        patch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        one = {"num_cpus": 1, "object_store_memory": 100 << 20, "include_dashboard": False}
        cluster = Nodes(initialize_head=True, head_node_args=one)
        cluster.add_node(**one)
        yield cluster.address, cache
        cluster.shutdown()


def start(folder: Path, address: str, photos: str, out: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [*COMMAND, "image", photos, "-s", "starry.jpg", "-o", out, "--cluster", address],
        cwd=folder,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        preexec_fn=heed_ctrl_c,
    )


def wait_until(process: subprocess.Popen[bytes], there: Callable[[], bool]) -> None:
    until = time.monotonic() + 200
    while not there():
        assert process.poll() is None and time.monotonic() < until, process.communicate()
        time.sleep(0.02)


def workers() -> list[psutil.Process]:
    found = []
    for one in psutil.Process().children(recursive=True):
        with suppress(psutil.NoSuchProcess):  # or just ended
            if "ray::Actor" in " ".join(one.cmdline()):
                found.append(one)
    return found


def test_from_and_to_s3_with_a_worker_killed(
    nodes: tuple[str, Path], tmp_path: Path, styles: list[Path], stylize: Stylize
) -> None:
    import s3fs

    address, cache = nodes
    s3 = s3fs.S3FileSystem(skip_instance_cache=True, use_listings_cache=False)
    for number in range(COUNT - 1):
        path = draw(tmp_path / "photos" / f"{number}.png", 64, 64, seed=number)
        s3.pipe_file(f"archive/photos/{number}.png", path.read_bytes())
    s3.pipe_file("archive/photos/broken.png", b"no picture")
    there, out = "s3://archive/photos", "s3://archive/out/"

    process = start(tmp_path, address, there, out)
    wait_until(process, lambda: len(s3.find("archive/out")) >= 5)
    both = workers()
    assert len(both) == 2
    both[0].kill()
    stdout, stderr = process.communicate(timeout=400)
    said = stderr.decode()
    assert stdout == b""  # Ray keeps silent
    assert process.returncode == 1, said
    assert said.count("failed s3://archive/photos/broken.png: not an image") == 1
    assert "a worker on node " in said and "hidden" not in said
    told = re.search(r"(\d+) done, 1 failed(?:, (\d) skipped)? in ", said.splitlines()[-1])
    # It may have died when a file was complete and before it could say so: that one is there already.
    assert told and int(told[1]) + int(told[2] or 0) == COUNT - 1, said
    assert [path.name for path in cache.glob("shipped/*/*")] == ["starry.jpg"]  # sent, once

    alone = stylize("image", "photos", "-s", "starry.jpg", "-o", "alone/")
    assert alone.returncode == 0
    results = {Path(name).name: s3.cat_file(name) for name in s3.find("archive/out")}
    assert results == {path.name: path.read_bytes() for path in (tmp_path / "alone").iterdir()}
    before = {name: info["LastModified"] for name, info in s3.find("archive/out", detail=True).items()}
    s3.rm("archive/photos/broken.png")
    again = stylize("image", there, "-s", "starry.jpg", "-o", out, "--cluster", address)
    assert again.returncode == 0 and f"{COUNT - 1} of {COUNT - 1} exist".encode() in again.stderr
    after = {name: info["LastModified"] for name, info in s3.find("archive/out", detail=True).items()}
    assert before == after


def test_ctrl_c_lets_every_worker_finish_its_file(
    nodes: tuple[str, Path], tmp_path: Path, styles: list[Path]
) -> None:
    for number in range(16):
        draw(tmp_path / "photos" / f"{number}.png", 64, 64, seed=number)
    process = start(tmp_path, nodes[0], "photos", "out")
    wait_until(process, lambda: len(list((tmp_path / "out").glob("*.png"))) >= 3)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 130, stderr.decode()
    done = len(list((tmp_path / "out").glob("*.png")))
    assert f"interrupted: {done} done" in stderr.decode().splitlines()[-1], stderr.decode()
    assert 3 <= done < 16 and "Traceback" not in stderr.decode()
    assert [path.name for path in (tmp_path / "out").iterdir() if path.name.startswith(".")] == []


def test_without_ray_the_option_says_what_to_install(tmp_path: Path, stylize: Stylize) -> None:
    draw(tmp_path / "a.png"), draw(tmp_path / "s.png")
    (tmp_path / "ray.py").write_text("raise ImportError('No module named ray')")
    path = os.pathsep.join([str(tmp_path), *sys.path])
    done = stylize("image", "a.png", "-s", "s.png", "--cluster", "auto", env={"PYTHONPATH": path})
    assert done.returncode == 2
    assert done.stderr.decode() == "stylize: --cluster needs Ray: pip install 'stylecli[cluster]'\n"


@pytest.mark.parametrize("address", ["127.0.0.1:9", "ray://127.0.0.1:9"])
def test_where_nobody_answers_is_known_at_once(address: str) -> None:
    pytest.importorskip("ray")
    begun = time.monotonic()
    with pytest.raises(UsageError, match=f"--cluster {address}: no Ray cluster answers there .*try local:2"):
        Cluster(address)._connect()
    assert time.monotonic() - begun < 6


def order(folder: Path, other: dict[str, object]) -> Order:
    usual = Order(ImageJob([], []), [], version(), folder, None, {}, 20)
    return replace(usual, **other)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (
            {"version": "stylecli 0.0.1 (abcdef12) with torch 1.0"},
            "here is stylecli 0.0.1 .*install the same",
        ),
        ({"seen": Path("/nowhere/file")}, "does not see /nowhere: put inputs and results on a disk"),
        ({"seen": Path("/nowhere/file"), "folder": Path("/nowhere")}, "does not see /nowhere"),
    ],
)
def test_workers_that_do_not_fit_are_refused(tmp_path: Path, other: dict[str, object], words: str) -> None:
    actor, said = Actor(order(tmp_path, other), 1, 1), []
    actor.begin(lambda parcel: b"")
    while not any(isinstance(message, Over) for message in said):
        said += actor.listen()
    broken = said[0]
    assert isinstance(broken, Broken)
    with pytest.raises(UsageError, match=words):
        raise broken.error()


def test_what_is_sent_arrives_once_under_its_digest(
    tmp_path: Path, styles: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    own = tmp_path / "own.safetensors"
    from stylecli.weights.locating import locate

    own.write_bytes(locate("stylerwkv-s").read_bytes())
    job = ImageJob([], [StyleSpec("starry", ((styles[0], 1.0),))], loading=LoadOptions(model=str(own)))
    sent = parcels(job)
    assert [parcel.path for parcel in sent] == [styles[0], own]
    assert parcels(replace(job, loading=LoadOptions())) == sent[:1]  # bundled weights are there
    monkeypatch.setenv("STYLIZE_CACHE", str(tmp_path / "there"))
    asked: list[Parcel] = []

    def fetch(parcel: Parcel) -> bytes:
        asked.append(parcel)
        return parcel.path.read_bytes()

    for _ in range(2):
        there = unpacked(job, sent, fetch)
    assert asked == sent
    assert there.specs[0].fingerprint() == job.specs[0].fingerprint() and there.specs[0].name == "starry"
    assert Path(there.loading.model).is_relative_to(tmp_path / "there")
    assert there.loading.settings == job.loading.settings
    assert digest_of(Path(there.loading.model)) == digest_of(own)


def test_a_network_that_the_first_worker_has_adapted_is_sent_to_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = (tmp_path / name for name in ("first", "second"))
    monkeypatch.setenv("STYLIZE_CACHE", str(first))
    adapted, missing = (first / "refined" / f"{name}.safetensors" for name in "ab")
    adapted.parent.mkdir(parents=True)
    adapted.write_bytes(b"numbers")
    monkeypatch.setattr("stylecli.paint.refine.in_use", {adapted, missing})
    ready = Ready(refined_here())
    (parcel,) = ready.refined

    class Asked:
        read = SimpleNamespace(remote=Actor(order(tmp_path, {}), 1, 1).read)

    ray = SimpleNamespace(put=lambda data: data, get=lambda data: data)
    crew = _Actors(ray, order(tmp_path, {}))
    crew.first_ready(_Actor(Seat("0", 1, 0, 1, 1), Asked()), ready)
    assert crew._order.parcels == [parcel]
    monkeypatch.setenv("STYLIZE_CACHE", str(second))
    unpacked(ImageJob([], []), crew._order.parcels, lambda one: crew._sent[one.sha256])
    assert (second / "refined" / "a.safetensors").read_bytes() == b"numbers"


class Ray:
    """Nodes as Ray describes them."""

    def __init__(self, *resources: dict[str, float]) -> None:
        self._nodes = [
            {"NodeID": str(number), "Alive": True, "Resources": one} for number, one in enumerate(resources)
        ]

    def nodes(self) -> list[dict[str, object]]:
        return [*self._nodes, {"NodeID": "gone", "Alive": False, "Resources": {"CPU": 64.0}}]


@pytest.mark.parametrize(
    ("device", "jobs", "seats"),
    [
        ("auto", 1, [Seat("0", 8, 0, 8, 1), *[Seat("1", 0, 1, 8, 2)] * 2]),
        ("auto", 2, [*[Seat("0", 4, 0, 4, 2)] * 2, *[Seat("1", 0, 0.5, 4, 4)] * 4]),
        ("cuda", 1, [Seat("1", 0, 1, 8, 2)] * 2),
        ("cpu", 4, [*[Seat("0", 2, 0, 2, 4)] * 4, *[Seat("1", 4, 0, 4, 4)] * 4]),
        ("cuda:1", 1, "on a cluster choose"),
        ("mps", 1, "on a cluster choose"),
    ],
)
def test_seats(device: str, jobs: int, seats: list[Seat] | str) -> None:
    ray, cluster = (
        Ray({"CPU": 8.0}, {"CPU": 16.0, "GPU": 2.0}, {"memory": 1.0}),
        Cluster("auto", device, jobs),
    )
    if isinstance(seats, list):
        assert cluster._seats(ray) == seats
    else:
        with pytest.raises(UsageError, match=seats):
            cluster._seats(ray)


def test_a_film_on_two_nodes_is_the_film_of_one(
    nodes: tuple[str, Path], tmp_path: Path, styles: list[Path], stylize: Stylize
) -> None:
    three_scenes(tmp_path / "clip.mkv")
    command = ["video", "clip.mkv", "-s", "starry.jpg", "--stroke-size", "8", "--codec", "ffv1"]
    alone = stylize(*command, "-o", "alone.mkv")
    assert alone.returncode == 0, alone.stderr
    shared = stylize(*command, "-o", "shared.mkv", "--cluster", nodes[0])
    assert shared.returncode == 0, shared.stderr
    before, one, after = (look(tmp_path / f"{name}.mkv") for name in ("clip", "alone", "shared"))
    assert after.packets == before.packets and after.times == before.times  # its sound, bit for bit
    assert np.array_equal(after.pictures, one.pictures)
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []
