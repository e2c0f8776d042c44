"""One part of ``on_a_card.sh``, measured, as JSON on stdout: ``python on_a_card.py PART DEVICE [--small]``."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from stylecli import Stylizer
from stylecli.bench import kernel_cases, kernels
from stylecli.devices import choose_device, free_on, wait_for
from stylecli.samples import CONTENTS, STYLES

SIZES = ((512, 512), (1024, 1024), (1920, 1080), (2048, 2048), (4096, 2160))  # width, height
SMALL_SIZES = ((64, 48),)
MICROAST_S = 0.5  # 4096 x 2160 on a GeForce RTX 2080 (arXiv 2211.15313, table 1)
NETWORKS = {"image": "stylerwkv-s", "text": "stylemamba-s"}


def operators(device: torch.device, small: bool) -> list[dict[str, Any]]:
    """Time of every operator and its share of copy bandwidth."""
    if not small:
        return [asdict(row) for row in kernels.run(device)]
    cases = [
        *kernel_cases.bi_wkv_cases(70, 5, torch.float32, device),
        *kernel_cases.selective_scan_cases(70, 5, 3, torch.float32, device),
        *kernel_cases.deform_shift_cases(6, 8, 4, torch.float32, device),
    ]
    copy = kernels.copy_bandwidth(device, 1)
    return [asdict(kernels.measure(case, copy)) for case in cases]


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


def painting(device: torch.device, small: bool) -> Iterator[dict[str, Any]]:
    """Warm seconds of a picture by network, size and batch: pictures in main memory to pictures in main memory, and
    network alone, from tensors on the device to tensors there."""
    style = STYLES["swirling-night"](256)
    for kind, name in NETWORKS.items():
        stylizer = Stylizer.from_pretrained(name, device=str(device), tile=0)
        stylizer = stylizer.encode_style(style) if kind == "image" else stylizer.encode_prompt("watercolour")
        for width, height in SMALL_SIZES if small else SIZES:
            photo = CONTENTS["mountain-lake"](256).resize((width, height))
            for batch in (1, 2) if small else (1, 4, 16):
                yield _painted(stylizer, kind, photo, batch, small)


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


def films(device: torch.device, small: bool) -> Iterator[dict[str, Any]]:
    """Frames per second of ``stylize video``, from file to file, start and proof excluded by a first short run."""
    import av

    with tempfile.TemporaryDirectory() as folder:
        style = Path(folder) / "style.png"
        STYLES["swirling-night"](256).save(style)
        for width, height in ((64, 48),) if small else ((1280, 720), (1920, 1080)):
            for frames in (4, 8) if small else (8, 128):
                clip = Path(folder) / f"{width}-{frames}.mp4"
                picture = CONTENTS["mountain-lake"](256).resize((width + frames, height))
                with av.open(str(clip), "w") as container:
                    stream = container.add_stream("libx264", rate=24)
                    stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
                    for i in range(frames):
                        frame = av.VideoFrame.from_image(picture.crop((i, 0, i + width, height)))
                        container.mux(stream.encode(frame))
                    container.mux(stream.encode())
                target = Path(folder) / f"{clip.stem}-painted.mp4"
                command = [
                    sys.executable,
                    "-m",
                    "stylecli",
                    "video",
                    str(clip),
                    "-s",
                    str(style),
                    "-o",
                    str(target),
                ]
                begun = time.perf_counter()
                done = subprocess.run([*command, "--device", str(device)], capture_output=True, text=True)
                took = time.perf_counter() - begun
                row = {"width": width, "height": height, "frames": frames, "seconds": took}
                if done.returncode:
                    row["problem"] = done.stderr[-500:]
                yield row


PARTS: dict[str, Callable[[torch.device, bool], Any]] = {
    "operators": operators,
    "painting": painting,
    "films": films,
}


def main() -> None:
    part, device, *more = sys.argv[1:]
    rows = list(PARTS[part](choose_device(device), "--small" in more))
    sys.stdout.write(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
