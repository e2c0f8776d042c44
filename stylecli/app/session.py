"""One visitor: the pictures, the choices, and what is painted of them. Nothing here knows of web pages."""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from stylecli.app.choice import Chosen, How, command_line, ready_names
from stylecli.app.work import carry_out
from stylecli.errors import StylizeError, UsageError
from stylecli.media.picture import ByteArray
from stylecli.paint.options import TEMPORAL
from stylecli.paint.pixels import to_image
from stylecli.paint.regions import Regions
from stylecli.run.events import Done, Event
from stylecli.run.painters import paint

if TYPE_CHECKING:
    from stylecli.app.studio import Studio
    from stylecli.run.films import FilmJob
    from stylecli.run.images import ImageJob

TILE, DRAFT, VIEW = (
    320,
    448,
    1024,
)  # pixels of the longer side: in every style, while a slider moves, and after it
SETTLED_S = 0.3  # a slider that has not moved for so long stands still
MOST_PIXELS = 400_000_000  # of a photograph, as on the command line
MOST_FILES = 500  # in one queue
BRUSH = 160  # of 255: opacity of the brush, or a little less
_NAMED = 3  # of several files, so many are named on the command line
_ANIMATED = {".gif", ".webp", ".apng"}  # read as pictures, moving or not


@dataclass
class Photo:
    """A photograph, and as it is seen on the page."""

    path: Path
    side: int  # pixels of the longer side of the file
    largest: ByteArray  # (h, w, 3), as large as the page shows it
    _smaller: dict[int, ByteArray] = field(default_factory=dict)

    def at(self, side: int) -> ByteArray:
        """With so many pixels on its longer side; never enlarged."""
        if side >= max(self.largest.shape[:2]):
            return self.largest
        if side not in self._smaller:
            image = Image.fromarray(self.largest)
            image.thumbnail((side, side), Image.Resampling.LANCZOS)
            self._smaller[side] = np.asarray(image)
        return self._smaller[side]


class Session:
    """Its folder has a folder for each thing, so that files keep the names that they came with."""

    def __init__(self, studio: Studio) -> None:
        self.studio = studio
        self.folder = Path(tempfile.mkdtemp(prefix="visitor-", dir=studio.folder))
        self.photo: Photo | None = None
        self.chosen = Chosen.ready(ready_names()[0])
        self.mask: Path | None = None
        self._asked = 0  # previews so far: only the last one is worth painting large
        self._shown = 0
        self._stop = threading.Event()

    # What the visitor brings.

    def open(self, upload: Path) -> None:
        """Take a photograph. Raises InputError for what is none."""
        from stylecli.media import read_picture, resize_to_fit
        from stylecli.media.transparency import continued

        path = self._keep("photo", upload)
        picture = read_picture(path, name=path.name, max_pixels=MOST_PIXELS)
        small = resize_to_fit(picture, VIEW)
        largest = np.asarray(to_image(continued(small.pixels, small.alpha)))
        self.stop()
        self.photo, self.mask = Photo(path, max(picture.size), largest), None

    def choose_ready(self, name: str) -> None:
        self.chosen = Chosen.ready(name)

    def choose_phrase(self, text: str) -> None:
        self.chosen = Chosen.phrase(text)

    def choose_picture(self, upload: Path) -> None:
        """Raises UsageError for what is no picture."""
        chosen = Chosen.picture(self._keep("style", upload))
        self.studio.bound(chosen.spec)
        self.chosen = chosen

    def brush(self, layers: Sequence[ByteArray]) -> None:
        """Take what was brushed, (h, w, 4) each, as the mask; none where nothing was."""
        drawn = [layer[..., 3].astype(np.float32) for layer in layers if layer[..., 3].any()]
        if not drawn:
            self.mask = None
            return
        path = self._new_folder("mask") / "mask.png"
        share = np.minimum(np.maximum.reduce(drawn) / BRUSH, 1)  # the brush lets the photograph through
        Image.fromarray((255 * share).astype(np.uint8)).save(path)
        self.mask = path

    def _keep(self, kind: str, upload: Path) -> Path:
        """An upload under its own name in a new folder; visitors who bring the same file share what was sent."""
        target = self._new_folder(kind) / upload.name
        try:
            os.link(upload, target)
        except OSError:
            shutil.copyfile(upload, target)
        return target

    def _new_folder(self, kind: str) -> Path:
        return Path(tempfile.mkdtemp(prefix=f"{kind}-", dir=self.folder))

    # Previews.

    def draft(self, how: How) -> tuple[Path, Path]:
        """Before and after, quickly."""
        self._asked += 1
        return self._shown_as(self._view(DRAFT), self._painted(how, DRAFT))

    def settled(self, how: How) -> tuple[Path, Path] | None:
        """The same with the strokes that the full size will have, once nothing moves any more; None where it does."""
        asked, stop = self._asked, self._stop
        if stop.wait(SETTLED_S) or asked != self._asked or max(self._view(VIEW).shape) <= DRAFT:
            return None
        painted = self._painted(how, VIEW, asked)
        return None if painted is None or asked != self._asked else self._shown_as(self._view(VIEW), painted)

    def tiles(self) -> Iterator[tuple[str, Path]]:
        """The photograph in every ready style; ends early when the photograph is another one or the visitor leaves."""
        stop, folder = self._stop, self._new_folder("tiles")
        photo = self._view(TILE)
        for name in ready_names():
            try:
                stylizer = self.studio.bound(Chosen.ready(name).spec)
            except StylizeError:
                continue
            with self.studio.painting:
                if stop.is_set():
                    return
                painted = stylizer(photo)
            yield name, _saved(painted, folder / f"{name.lstrip('@')}.jpg")

    def _view(self, side: int) -> ByteArray:
        if self.photo is None:
            raise UsageError("there is no photograph yet: bring one first")
        return self.photo.at(side)

    def _painted(self, how: How, side: int, asked: int | None = None) -> ByteArray | None:
        """The photograph painted; None where, of those ``asked`` for, another one waits by now."""
        photo, stylizer = self._view(side), self.studio.bound(self.chosen.spec)
        assert self.photo is not None
        masks = how.masks(self.mask, max(photo.shape) / self.photo.side)
        whole = None if masks is None else masks.still(self.photo.path, MOST_PIXELS)
        with self.studio.painting:
            if asked is not None and asked != self._asked:
                return None
            painters = [partial(paint, stylizer, how.options)]
            return np.asarray(Regions(whole=whole).paint(painters, photo))

    def _shown_as(self, before: ByteArray, after: ByteArray | None) -> tuple[Path, Path]:
        assert after is not None
        self._shown += 1
        places = self.folder / f"before-{before.shape[1]}.jpg", self.folder / f"after-{self._shown}.jpg"
        (self.folder / f"after-{self._shown - 4}.jpg").unlink(missing_ok=True)
        return _saved(before, places[0]), _saved(after, places[1])

    # Results.

    def command(self, how: How) -> str:
        """What to type for what :meth:`save` gives."""
        name = "PHOTO" if self.photo is None else self.photo.path.name
        return command_line("image", [name], self._words(how, self.mask), self.studio.loading.device)

    def save(self, how: How) -> Iterator[Event | Path]:
        """Paint at full size: what happens, and at the end the result."""
        self._view(TILE)
        assert self.photo is not None
        yield from self._results(
            [self._image_job([self.photo.path], how, self._new_folder("saved"), self.mask)]
        )

    def queue(self, uploads: Sequence[Path], how: How) -> tuple[list[str], int, Iterator[Event | Path]]:
        """Paint photographs and films, without the mask: the commands that would do it, how many there are, and what
        happens; at the end the result, or all of them in one archive. Other files are left out. Raises UsageError."""
        from stylecli.media import readable_suffixes
        from stylecli.media.video.source import SUFFIXES

        films = SUFFIXES - _ANIMATED
        wanted = [one for one in uploads if one.suffix.lower() in readable_suffixes() | films]
        if not 0 < len(wanted) <= MOST_FILES:
            raise UsageError(f"bring photographs or films first, {MOST_FILES} at most")
        folder, output = self._new_folder("queue"), self._new_folder("painted")
        kinds: dict[str, list[Path]] = {"image": [], "video": []}
        for one in wanted:
            kinds["video" if one.suffix.lower() in films else "image"].append(_kept_apart(one, folder))
        words = [*self._words(how, None), "-o", "painted/"]
        lines = [
            command_line(
                command,
                [path.name for path in paths] if len(paths) <= _NAMED else ["FOLDER/"],
                words,
                self.studio.loading.device,
            )
            for command, paths in kinds.items()
            if paths
        ]
        jobs: list[ImageJob | FilmJob] = []
        jobs += [self._image_job(kinds["image"], how, output)] if kinds["image"] else []
        jobs += [self._film_job(kinds["video"], how, output)] if kinds["video"] else []
        return lines, len(wanted), self._results(jobs, output)

    def _words(self, how: How, mask: Path | None) -> list[str]:
        return [*self.chosen.words, *how.words(mask)]

    def _image_job(
        self, inputs: Sequence[Path], how: How, output: Path, mask: Path | None = None
    ) -> ImageJob:
        from stylecli.run.images import ImageJob

        return ImageJob(
            [str(path) for path in inputs],
            [self.chosen.spec],
            output=f"{output}/",
            mask=how.masks(mask),
            options=how.options,
            loading=self.studio.loading,
        )

    def _film_job(self, inputs: Sequence[Path], how: How, output: Path) -> FilmJob:
        from stylecli.media.video.clip import Excerpt
        from stylecli.media.video.encoding import Encoding
        from stylecli.run.films import FilmJob
        from stylecli.run.timeline import Timeline

        return FilmJob(
            [str(path) for path in inputs],
            [Timeline.constant(self.chosen.spec)],
            Excerpt(max_pixels=MOST_PIXELS),
            Encoding(),
            output=f"{output}/",
            temporal=None if how.options.colour_only else TEMPORAL,
            options=how.options,
            loading=self.studio.loading,
        )

    def _results(
        self, jobs: Sequence[ImageJob | FilmJob], output: Path | None = None
    ) -> Iterator[Event | Path]:
        stop, made = self._stop, []
        for job in jobs:
            for event in carry_out(job, self.studio.stylizer, stop):
                made += [event.target] if isinstance(event, Done) else []
                yield event
        if len(made) == 1:
            yield made[0]
        elif made and output is not None:
            yield _archive(made, output / "painted.zip")

    # The end.

    def stop(self) -> None:
        """End all work that is under way, as soon as the picture or frame in hand is done."""
        self._stop.set()
        self._stop = threading.Event()

    def close(self) -> None:
        """Stop, and remove all files."""
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)


def _saved(pixels: ByteArray, path: Path) -> Path:
    Image.fromarray(pixels).save(path, quality=90)
    return path


def _kept_apart(upload: Path, folder: Path) -> Path:
    """A file of a queue under its own name; a second one of that name gets a number."""
    target, number = folder / upload.name, 2
    while target.exists():
        target, number = folder / f"{upload.stem}-{number}{upload.suffix}", number + 1
    shutil.copyfile(upload, target)
    return target


def _archive(files: Sequence[Path], target: Path) -> Path:
    """All files in one; they are packed already."""
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
        for path in files:
            archive.write(path, path.name)
    return target
