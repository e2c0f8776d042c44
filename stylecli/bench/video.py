"""Figures of ``stylize video``: flicker, how well its stages overlap, and memory on short and long films."""

from __future__ import annotations

import math
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory

import av
import numpy as np

from stylecli.bench.flicker import Picture, WarpingError, crispness
from stylecli.bench.section import Section
from stylecli.media import read_picture
from stylecli.media.video.clip import Clip, Excerpt, Frame, Part
from stylecli.media.video.encoding import Encoding
from stylecli.media.video.sink import FilmSink, Sink
from stylecli.media.video.source import Source, open_source
from stylecli.paint.options import PaintOptions
from stylecli.paint.stylizer import Stylizer
from stylecli.run.film import FilmRun
from stylecli.run.film_checkpoint import Progress
from stylecli.run.motion import Motion, MotionEstimator
from stylecli.run.parallel_map import ordered_parallel_map
from stylecli.run.style_specs import StyleSpec
from stylecli.run.temporal import Blender
from stylecli.run.timeline import FilmPainter, Timeline

_MEMORY_SIZE = (640, 360)
_TURNS = 3  # the longest times are medians: they differ by a tenth from run to run


@dataclass(frozen=True)
class Flicker:
    """Warping errors in levels of 255, and how crisp the steadied film is against frame-by-frame painting."""

    clip: str
    style: str
    frames: int
    input: float
    frame_by_frame: float
    steadied: float
    crispness: float


@dataclass(frozen=True)
class Overlap:
    """Seconds that each stage takes alone, and all together. The model's stage is what `FilmRun` does between decoding
    and encoding: it follows the motion, paints, and steadies, all at once; ``motion``, ``paint`` and ``steady`` are
    the seconds of each of these alone."""

    clip: str
    frames: int
    decode: float
    motion: float
    paint: float
    steady: float
    model: float
    encode: float
    together: float

    @property
    def ratio(self) -> float:
        """Together against the slowest stage alone."""
        return self.together / max(self.decode, self.model, self.encode)


@dataclass
class _Held:
    """A source whose frames are decoded already."""

    clip: Clip
    held: list[Frame]
    origin: int = 0
    warnings: list[str] = field(default_factory=list)

    def frames(self, skip: int = 0) -> Iterator[Frame]:
        return iter(self.held[skip:])


class _Nowhere:
    """A sink that encodes nothing."""

    resumable = False
    bytes = 0

    def begin(self, groups: int, frames: int) -> None: ...
    def add(self, frame: Frame, painted: Picture) -> None: ...
    def cut(self) -> Part:
        return Part()

    def finish(self, last_duration: int) -> list[str]:
        return []

    def finish_partly(self, last_duration: int) -> Path | None:
        return None


def painter(style: Path, stroke_size: float = 1.0) -> FilmPainter:
    """Paints frames in the style of an image, as ``stylize video`` does."""
    spec = StyleSpec(style.stem, ((style, 1.0),))
    return FilmPainter(
        Stylizer.from_pretrained(),
        Timeline.constant(spec),
        read_picture,
        PaintOptions(stroke_size=stroke_size),
    )


def flicker(clip: Path, style: Path, paint: FilmPainter, excerpt: Excerpt, strength: float) -> Flicker:
    """Paint a clip with and without the temporal step."""
    estimator, blender = MotionEstimator(), Blender(strength)
    crisp: list[tuple[float, float]] = []

    def films() -> Iterator[tuple[Picture, ...]]:
        for frame in open_source(clip, excerpt).frames():
            motion = estimator.next(frame.pixels)
            plain = paint([frame], [0.0])[0]
            steady = blender.next(plain, motion)
            crisp.append((crispness(plain), crispness(steady)))
            yield frame.pixels.astype(np.float32), plain * np.float32(255), steady * np.float32(255)

    inputs = (frame.pixels for frame in open_source(clip, excerpt).frames())
    own, frame_by_frame, steadied = WarpingError().of(inputs, films())
    plain, steady = np.mean(crisp, axis=0)
    return Flicker(clip.name, style.stem, len(crisp), own, frame_by_frame, steadied, float(steady / plain))


def overlap(clip: Path, paint: FilmPainter, excerpt: Excerpt, strength: float) -> Overlap:
    """Time every stage alone, on frames that are there already, and then the whole run."""

    def timed(work: Callable[[], object]) -> float:
        begun = time.perf_counter()
        work()
        return time.perf_counter() - begun

    frames: list[Frame] = []
    decode = timed(lambda: frames.extend(open_source(clip, excerpt).frames()))
    estimator = MotionEstimator()
    motions: list[Motion | None] = []
    motion = timed(lambda: motions.extend(estimator.next(frame.pixels) for frame in frames))
    shape = open_source(clip, excerpt).clip
    size = paint.at_once(shape.width, shape.height)
    workers = paint.workers(shape.width * shape.height)

    def painted_batch(batch: Sequence[Frame]) -> Picture:
        return paint(batch, [0.0] * len(batch))

    def film(source: Source, sink: Sink) -> FilmRun:
        return FilmRun(
            *(source, sink, painted_batch, strength, None, Progress("")),
            at_once=size,
            workers=workers,
            beside=paint.threads_beside,
        )

    painted_batch(frames[:1])  # whatever is prepared once
    painted: list[Picture] = []
    batches = [frames[begin : begin + size] for begin in range(0, len(frames), size)]
    only_paint = timed(
        lambda: painted.extend(
            one for _, pictures in ordered_parallel_map(painted_batch, batches, workers) for one in pictures
        )
    )
    blender = Blender(strength)
    steadied: list[Picture] = []
    steady = timed(lambda: steadied.extend(map(blender.next, painted, motions)))
    models, wholes = [], []
    with TemporaryDirectory() as name:

        def sink(folder: str) -> FilmSink:
            place = Path(name) / folder
            place.mkdir()
            return FilmSink(place / "x.mp4", Encoding().plan(shape), place, None)

        def encode_all() -> None:
            alone = sink("alone")
            alone.begin(0, 0)
            for frame, pixels in zip(frames, steadied, strict=True):
                alone.add(frame, pixels)
            alone.cut()

        encode = timed(encode_all)
        for turn in range(_TURNS):
            models.append(timed(film(_Held(shape, frames), _Nowhere()).run))
            wholes.append(timed(film(open_source(clip, excerpt), sink(f"all {turn}")).run))
    model, together = np.median(models), np.median(wholes)
    return Overlap(
        clip.name, len(frames), decode, motion, only_paint, steady, float(model), encode, float(together)
    )


def peak_memory(lengths: Sequence[int], style: Path, stroke_size: float) -> list[tuple[int, float]]:
    """Peak memory, in MB, of painting films of these many frames of 640x360, each in a process of its own."""
    peaks = []
    with TemporaryDirectory() as name:
        for length in lengths:
            clip = Path(name) / f"{length}.mp4"
            _draw(clip, length)
            command = [
                "video",
                str(clip),
                "-s",
                str(style.absolute()),
                "--stroke-size",
                str(stroke_size),
                "-q",
            ]
            measured = (
                "import resource, subprocess, sys;"
                "code = subprocess.run(sys.argv[1:]).returncode;"
                "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss); sys.exit(code)"
            )
            done = subprocess.run(
                [sys.executable, "-c", measured, sys.executable, "-m", "stylecli", *command],
                capture_output=True,
                text=True,
                check=True,
            )
            peaks.append((length, int(done.stdout) / 1024))
    return peaks


def flicker_section(rows: Sequence[Flicker]) -> Section:
    """The rows as a table."""
    headings = ("clip", "style", "frames", "input", "frame by frame", "steadied")
    cells = [
        (
            *(f.clip, f.style, str(f.frames)),
            *(f"{x:.2f}" for x in (f.input, f.frame_by_frame, f.steadied)),
            *(f"{x:.2f}" for x in (f.steadied / f.input, f.steadied / f.frame_by_frame, f.crispness)),
        )
        for f in rows
    ]
    return Section(
        "video",
        "Flicker: warping errors, in levels of 255",
        "stylize bench video CLIP... -s STYLE",
        (*headings, "x input", "x frame by frame", "crispness"),
        cells,
        [asdict(row) for row in rows],
    )


def overlap_section(rows: Sequence[Overlap]) -> Section:
    """The rows as a table."""
    stages = ("decode", "motion", "paint", "steady", "model", "encode", "together")
    return Section(
        "video",
        "Seconds of each stage alone, and of all together",
        "stylize bench video CLIP... -s STYLE --overlap",
        ("clip", "frames", *stages, "x slowest"),
        [
            (
                r.clip,
                str(r.frames),
                *(f"{getattr(r, stage):.2f}" for stage in stages),
                f"{r.ratio:.2f}",
            )
            for r in rows
        ],
        [asdict(row) | {"ratio": row.ratio} for row in rows],
    )


def memory_section(rows: Sequence[tuple[int, float]]) -> Section:
    """The rows as a table."""
    return Section(
        "video",
        "Peak memory of the whole process, 640x360",
        "stylize bench video CLIP -s STYLE --memory",
        ("frames", "peak MB"),
        [(str(frames), f"{peak:.0f}") for frames, peak in rows],
        [{"frames": frames, "megabytes": peak} for frames, peak in rows],
    )


def _draw(path: Path, frames: int) -> None:
    """A film of soft waves that wander."""
    width, height = _MEMORY_SIZE
    y, x = np.mgrid[0:height, 0:width] / width
    with av.open(str(path), "w") as output:
        stream = output.add_stream("libx264", rate=Fraction(25), options={"preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        cycle = []
        for number in range(50):
            waves = [np.sin(20 * x + k + 9 * k * y + math.tau * number / 50) for k in range(3)]
            cycle.append((127 + 100 * np.stack(waves, -1)).astype(np.uint8))
        for number in range(frames):
            output.mux(stream.encode(av.VideoFrame.from_ndarray(cycle[number % len(cycle)], "rgb24")))
        output.mux(stream.encode(None))
