"""One part of ``on_a_card.sh``, measured: ``python on_a_card.py PART DEVICE [--small]``.

A line of JSON on stdout for every row, as soon as it is measured: what a time limit ends has said what it knew.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch

from stylecli import Stylizer
from stylecli.bench import kernel_cases, kernels
from stylecli.devices import choose_device, choose_dtype, free_on, wait_for
from stylecli.ops import proof
from stylecli.ops.kernel_mode import VARIABLE
from stylecli.samples import CONTENTS, STYLES

# Width, height, pictures at once; first what says most.
SIZES = ((512, 512, 1), (1920, 1080, 1), (512, 512, 8), (1024, 1024, 1), (4096, 2160, 1))
IN_PLAIN_TORCH = {(512, 512, 1), (1920, 1080, 1)}  # ... too, for comparison
SMALL_SIZES = ((64, 48, 1), (64, 48, 2))
MICROAST_S = 0.5  # 4096 x 2160 on a GeForce RTX 2080 (arXiv 2211.15313, table 1)
NETWORKS = {"image": "stylerwkv-s", "text": "stylemamba-s"}

Rows = Iterator[dict[str, Any]]


def looks(device: torch.device, small: bool) -> Rows:
    """Which kernels were proven, how near each network's painting is to float32 on the CPU, and which number format
    that leads to. Compiles and proves what is not yet."""
    for name in NETWORKS.values():
        seen = proof.of(device, name)
        yield {
            "network": name,
            "device": proof.name_of(device),
            "dtype": str(choose_dtype("auto", device, network=name)),
            "seconds": {dtype: check.seconds for dtype, check in seen.painting(name).items()},
            "decibels": {
                dtype: check.decibels for dtype, check in seen.painting(name).items() if dtype != "reference"
            },
            "problems": {op: verdict.problem for op, verdict in seen.operators.items() if verdict.problem},
        }


def operators(device: torch.device, small: bool) -> Rows:
    """Time of every operator and its share of copy bandwidth."""
    if not small:
        yield from map(asdict, kernels.run(device))
        return
    cases = [
        *kernel_cases.bi_wkv_cases(70, 5, torch.float32, device),
        *kernel_cases.selective_scan_cases(70, 5, 3, torch.float32, device),
        *kernel_cases.deform_shift_cases(6, 8, 4, torch.float32, device),
        *kernel_cases.one_reading_cases(6, 8, torch.float32, device),
    ]
    copy = kernels.copy_bandwidth(device, 1)
    yield from (asdict(kernels.measure(case, copy, 0.01)) for case in cases)


def seconds(run: Callable[[], object], device: torch.device, repeats: int) -> list[float]:
    """Of warm runs, everything on the device included."""
    took = []
    for _ in range(repeats + 2):
        wait_for(device)
        begun = time.perf_counter()
        run()
        wait_for(device)
        took.append(time.perf_counter() - begun)
    return sorted(took[2:])


def painting(device: torch.device, small: bool) -> Rows:
    """Warm seconds of a picture by network, size and batch: pictures in main memory to pictures in main memory, and
    network alone, from tensors on the device to tensors there. Some in plain torch as well, in the same number format.
    """
    style, mode = STYLES["swirling-night"](256), os.environ.get(VARIABLE, "auto")
    for kind, name in NETWORKS.items():
        stylizer = Stylizer.from_pretrained(name, device=str(device), tile=0)
        stylizer = stylizer.encode_style(style) if kind == "image" else stylizer.encode_prompt("watercolour")
        for width, height, batch in SMALL_SIZES if small else SIZES:
            photo = CONTENTS["mountain-lake"](256).resize((width, height))
            plain = small or (width, height, batch) in IN_PLAIN_TORCH
            for kernels_of in (mode, "off") if plain else (mode,):
                os.environ[VARIABLE] = kernels_of
                yield {"kernels": kernels_of} | _painted(stylizer, kind, photo, batch, small)
            os.environ[VARIABLE] = mode


def _painted(stylizer: Stylizer, kind: str, photo: Any, batch: int, small: bool) -> dict[str, Any]:
    import numpy as np

    device, repeats = stylizer.device, 1 if small else 7
    pixels = torch.from_numpy(np.array(photo)).permute(2, 0, 1)[None].float() / 255
    pixels = pixels.expand(batch, -1, -1, -1).contiguous()
    row: dict[str, Any] = {
        "network": kind,
        "width": photo.width,
        "height": photo.height,
        "batch": batch,
        "dtype": str(stylizer.dtype),
        "free_before": free_on(device),
    }
    try:
        row["seconds"] = seconds(lambda: stylizer(pixels), device, repeats)[repeats // 2] / batch
        there, vector = (t.to(device, stylizer.dtype) for t in (pixels, _vector(stylizer)))
        with torch.inference_mode():
            network: Any = stylizer.network
            # At full size, not at the working size: what the published figures are of.
            alone = seconds(lambda: network.paint(there, vector, 1.0, 0), device, repeats)
        row["network_at_full_size_seconds"] = alone[repeats // 2] / batch
        if (photo.width, photo.height) == (4096, 2160):
            row["microast_published_seconds"] = MICROAST_S
    except Exception as error:  # such as memory that does not suffice: the next one may fit
        row["problem"] = f"{type(error).__name__}: {str(error).splitlines()[0]}"
    return row


def _vector(stylizer: Stylizer) -> torch.Tensor:
    """The style's numbers."""
    style: Any = stylizer.style
    return next(value for value in vars(style).values() if isinstance(value, torch.Tensor))


def frames(device: torch.device, small: bool) -> Rows:
    """Frames per second of what ``stylize video`` does between decoding and encoding, each stage alone: painting in
    batches, several at the same time, following the motion, and steadying. Needs no library of films."""
    import numpy as np

    from stylecli.run.motion import MotionEstimator
    from stylecli.run.parallel_map import frames_in_parallel, frames_per_batch, ordered_parallel_map
    from stylecli.run.style_specs import StyleSpec
    from stylecli.run.temporal import Blender
    from stylecli.run.timeline import FilmPainter, Timeline

    stylizer = Stylizer.from_pretrained(device=str(device))
    with tempfile.TemporaryDirectory() as folder:
        from stylecli.media import read_picture
        from stylecli.paint.options import PaintOptions

        file = Path(folder) / "style.png"
        STYLES["swirling-night"](256).save(file)
        spec = StyleSpec("style", ((file, 1.0),))
        paint = FilmPainter(stylizer, Timeline.constant(spec), read_picture, PaintOptions())
    for width, height in ((64, 48),) if small else ((1280, 720), (1920, 1080)):
        count = 8 if small else 128
        moving = np.array(CONTENTS["mountain-lake"](256).resize((width + count, height)))
        film: list[Any] = [SimpleNamespace(pixels=moving[:, i : i + width].copy()) for i in range(count)]
        at_once, workers = (
            frames_per_batch(stylizer, width, height),
            frames_in_parallel(stylizer, width * height),
        )

        def painted(batches: list[list[Any]], workers: int = workers) -> list[Any]:
            made = ordered_parallel_map(lambda batch: paint(batch, [0.0] * len(batch)), batches, workers)
            return [frame for _, batch in made for frame in batch]

        batches = [film[i : i + at_once] for i in range(0, count, at_once)]
        painted(batches[:2])  # warms up
        begun = time.perf_counter()
        result = painted(batches)
        painting_s = time.perf_counter() - begun
        estimator, blender = MotionEstimator(), Blender(1.0)
        few = min(count, 16)
        begun = time.perf_counter()
        motions = [estimator.next(frame.pixels) for frame in film[:few]]
        motion_s = time.perf_counter() - begun
        begun = time.perf_counter()
        for pixels, motion in zip(result[:few], motions, strict=True):
            blender.next(pixels, motion)
        steady_s = time.perf_counter() - begun
        yield {
            "width": width,
            "height": height,
            "frames": count,
            "dtype": str(stylizer.dtype),
            "at_once": at_once,
            "workers": workers,
            "painted_per_second": count / painting_s,
            "followed_per_second": few / motion_s,
            "steadied_per_second": few / steady_s,
        }


def films(device: torch.device, small: bool) -> Rows:
    """Frames per second of ``stylize video``, from file to file; the first, short run is for start and proof."""
    if importlib.util.find_spec("av") is None:
        yield {"problem": "av, the library of films, is not installed"}
        return
    import av

    with tempfile.TemporaryDirectory() as folder:
        style = Path(folder) / "style.png"
        STYLES["swirling-night"](256).save(style)
        for width, height in ((64, 48),) if small else ((1280, 720), (1920, 1080)):
            for count in (4, 8) if small else (8, 128):
                clip = Path(folder) / f"{width}-{count}.mp4"
                picture = CONTENTS["mountain-lake"](256).resize((width + count, height))
                with av.open(str(clip), "w") as container:
                    stream = container.add_stream("libx264", rate=24)
                    stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
                    for i in range(count):
                        frame = av.VideoFrame.from_image(picture.crop((i, 0, i + width, height)))
                        container.mux(stream.encode(frame))
                    container.mux(stream.encode())
                target = Path(folder) / f"{clip.stem}-painted.mp4"
                command = [sys.executable, "-m", "stylecli", "video", str(clip), "-s", str(style)]
                command += ["-o", str(target), "--device", str(device)]
                begun = time.perf_counter()
                done = subprocess.run(command, capture_output=True, text=True)
                took = time.perf_counter() - begun
                row = {"width": width, "height": height, "frames": count, "seconds": took}
                if done.returncode:
                    row["problem"] = done.stderr[-500:]
                yield row


PARTS: dict[str, Callable[[torch.device, bool], Rows]] = {
    "looks": looks,
    "operators": operators,
    "painting": painting,
    "frames": frames,
    "films": films,
}


def main() -> None:
    part, device, *more = sys.argv[1:]
    for row in PARTS[part](choose_device(device), "--small" in more):
        sys.stdout.write(json.dumps(row) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
