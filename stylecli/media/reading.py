"""Read one image file of any kind that Pillow knows, or say in one line why not."""

from __future__ import annotations

import errno
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError

from stylecli.errors import InputError, OutOfMemoryError
from stylecli.media.animation import ANIMATED, duration, read_frames
from stylecli.media.exif import read_exif
from stylecli.media.header import bytes_beside, check, count_frames, grey_scale
from stylecli.media.metadata import ICC_TAG, Metadata, read_metadata
from stylecli.media.modes import Colours, to_srgb
from stylecli.media.picture import Picture
from stylecli.media.pillow_guard import pillow_limits, readable_formats
from stylecli.media.ranges import stretched, words_from_floats
from stylecli.media.reasons import (
    bomb_size,
    detail,
    one_line,
    raw_maker,
    system_words,
    too_large,
    what_it_is,
    why_not_decoded,
)
from stylecli.media.signalling import adobe_rgb, profile_of_tiff, read_signalled, tone_mapped
from stylecli.media.tiff_pages import PageStream, TiffPageFound, find_pages, read_samples
from stylecli.media.wide import pixel_layout, read_wide, turned, whitest
from stylecli.memory import check_file

DEFAULT_MAX_PIXELS = 400_000_000

_TURNS = {  # EXIF orientation -> what makes the picture upright
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def read_picture(
    source: Path | BinaryIO,
    *,
    name: str | None = None,
    max_pixels: int = DEFAULT_MAX_PIXELS,
    memory_limit: int | None = None,
    animated: bool = False,
) -> Picture:
    """Read a picture: upright, in sRGB, first frame or page (``animated``: all frames and pages); thread-safe.

    ``source`` is a path or a binary stream (read to its end, need not be seekable). ``name`` stands in
    error lines; by default the file's name. More than ``max_pixels`` pixels are refused from the
    header, before anything of that size is allocated, and so are more than fit into memory (``memory_limit`` is in
    bytes, for the whole process; None: what is free).

    Raises ``InputError``, or ``OutOfMemoryError``, and nothing else, with one line that starts with the name and says
    what is wrong. Pillow's warnings never get out; what matters of them is in ``Picture.notices``.
    """
    label = one_line(name or (source.name if isinstance(source, Path) else "input"))
    try:
        with _opened(source) as stream, pillow_limits(max_pixels):
            head = stream.read(4096)
            if not head:
                raise InputError(f"{label}: empty file (0 bytes)")
            stream.seek(0)
            return _read(stream, head, label, max_pixels, memory_limit, animated)
    except (InputError, OutOfMemoryError):
        raise
    except MemoryError as error:
        raise OutOfMemoryError(f"{label}: not enough memory to decode it") from error
    except OSError as error:
        raise InputError(f"{label}: {system_words(error)}") from error


@contextmanager
def _opened(source: Path | BinaryIO) -> Iterator[BinaryIO]:
    if not isinstance(source, Path):
        yield BytesIO(source.read())
        return
    mode = source.stat().st_mode
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, "is a folder")
    if not (stat.S_ISREG(mode) or stat.S_ISFIFO(mode)):
        raise OSError(errno.EINVAL, "is a device, not a file")
    with source.open("rb") as stream:
        yield stream if stat.S_ISREG(mode) else BytesIO(stream.read())  # a shell's <(command) is a FIFO


def _read(
    stream: BinaryIO, head: bytes, label: str, max_pixels: int, memory_limit: int | None, animated: bool
) -> Picture:
    found = find_pages(stream) if head[:2] in (b"II", b"MM") else None
    maker = raw_maker(head) if found is None or found.camera is None else found.camera
    if maker is not None:
        from stylecli.media.raw import develop

        first = None if found is None else found.first
        return develop(stream, maker, first, label, max_pixels, memory_limit)
    if head.startswith(b"\x76\x2f\x31\x01"):
        from stylecli.media.exr import read_exr

        return read_exr(stream, label, max_pixels, memory_limit)
    pages = () if found is None else found.pages
    stream.seek(0)
    if pages and pages[0].is_float and pages[0].samples > 1:  # Pillow has no such picture
        check(label, (pages[0].value(256), pages[0].value(257)), 1, max_pixels, memory_limit, wide=True)
        picture = _float_page(stream, pages[0], label)
        return _with_pages(stream, picture, pages, label, max_pixels, memory_limit, animated)
    try:
        image: Image.Image
        if pages and pages[0].number:  # behind a preview
            image = _open_page(stream, pages[0])
        else:
            image = Image.open(stream, formats=readable_formats())
    except UnidentifiedImageError as error:
        raise InputError(f"{label}: {what_it_is(head)}") from error
    except Image.DecompressionBombError as error:
        raise InputError(f"{label}: {too_large(bomb_size(error), max_pixels)}") from error
    except MemoryError:
        raise
    except Exception as error:
        raise InputError(f"{label}: damaged image ({detail(error)})") from error

    with image:
        file_format = image.format or "?"
        pages = pages if file_format == "TIFF" else ()
        notices: list[str] = []
        frames = len(pages) or count_frames(image, file_format)
        moving = animated and frames > 1 and file_format in ANIMATED
        if frames > 1 and file_format == "MPO":
            said = "a further picture" if frames == 2 else f"{frames - 1} further pictures"
            notices.append(f"{said} in the file (preview, gain map, depth map, other eye) left out")
        if frames > 1 and not moving and file_format not in ("MPO", "TIFF"):
            notices.append(f"first of {frames} frames taken")
        wide = "16" in pixel_layout(image) or image.mode[0] in "IF"
        number = frames if moving else 1
        check(label, image.size, number, max_pixels, memory_limit, wide=wide, more=bytes_beside(image, wide))
        picture = _page(
            image, stream, pages[0] if pages else None, label, max_pixels, frames if moving else 1
        )
        if found is not None and found.reduced:
            notices.append(f"{found.reduced} smaller copies in the file left out")
        picture = replace(picture, frames=frames, notices=tuple(map(one_line, (*notices, *picture.notices))))
        return _with_pages(stream, picture, pages, label, max_pixels, memory_limit, animated)


def _open_page(stream: BinaryIO, page: TiffPageFound) -> Image.Image:
    return Image.open(cast(BinaryIO, PageStream(stream, page.offset)), formats=["TIFF"])


def _page(
    image: Image.Image,
    stream: BinaryIO,
    page: TiffPageFound | None,
    label: str,
    max_pixels: int,
    frames: int = 1,
) -> Picture:
    """The picture at which an opened image stands, or from there on so many frames of an animation."""
    if page is not None:
        samples = read_samples(stream, page)
        if samples is not None:
            return _samples_page(stream, page, samples)
    full_scale, inverted = grey_scale(image)
    layout = pixel_layout(image)
    try:
        image.load()
    except Image.DecompressionBombError as error:
        raise InputError(f"{label}: {too_large(bomb_size(error), max_pixels)}") from error
    except MemoryError:
        raise
    except Exception as error:
        raise InputError(f"{label}: {why_not_decoded(error)}") from error

    notices: list[str] = []
    try:
        said = read_signalled(image, stream)
        metadata = read_metadata(image, stream, None if page is None else page.directory)
        notices += metadata.notices
        profile = image.info.get("icc_profile")
        icc = profile if isinstance(profile, bytes) and profile else None
        icc = None if said.final else icc
        hdr = said.hdr if icc is None else None
        if icc is None and image.mode != "CMYK":
            icc = said.icc or adobe_rgb(read_exif(metadata.exif) if metadata.exif else None)
            icc = icc if icc or page is None else profile_of_tiff(page.directory)
        upright: Image.Image = image
        if metadata.orientation in _TURNS:
            upright = image.transpose(_TURNS[metadata.orientation])
            upright.format = image.format
        wide = read_wide(stream, image, layout, said.depth) if frames == 1 else None
        wide = None if wide is None else turned(wide, metadata.orientation)
        if (
            wide is None
            and frames == 1
            and image.mode[0] not in "IF"
            and whitest(image, layout, said.depth) > 255
        ):
            notices.append("read with 8 bits of its colours: the file is damaged, or of an unusual kind")
        colours = to_srgb(upright, icc, notices, wide=wide, full_scale=full_scale, inverted=inverted)
        if hdr is not None:
            notices.append(f"HDR ({hdr}) made SDR")
            colours = _as_sdr(colours, hdr)
        first, more = duration(image) if frames > 1 else 0.0, []
        if frames > 1:
            more = read_frames(image, frames, lambda frame: _as_sdr(to_srgb(frame, icc, []), hdr), notices)
    except MemoryError:
        raise
    except Exception as error:
        raise InputError(f"{label}: pixels of kind {image.mode} cannot be read ({detail(error)})") from error
    picture = _picture(colours, metadata, notices, image.format or "?")
    loop = _loop(image) if frames > 1 else None
    return replace(picture, more=tuple(more), duration=first, loop=loop, lossless=said.lossless)


def _as_sdr(colours: Colours, hdr: str | None) -> Colours:
    return colours if hdr is None else colours._replace(pixels=tone_mapped(colours.pixels, hdr))


def _picture(
    colours: Colours,
    metadata: Metadata,
    notices: list[str],
    file_format: str,
) -> Picture:
    return Picture(
        pixels=colours.pixels,
        alpha=colours.alpha,
        icc=colours.icc,
        own=colours.own,
        exif=metadata.exif,
        xmp=metadata.xmp,
        iptc=metadata.iptc,
        texts=metadata.texts,
        format=file_format,
        dpi=metadata.dpi,
        notices=tuple(one_line(line) for line in notices),
    )


def _float_page(stream: BinaryIO, page: TiffPageFound, label: str) -> Picture:
    """A page of colours in floats, of which Pillow knows nothing."""
    samples = read_samples(stream, page)
    if samples is None:
        raise InputError(f"{label}: {page.samples} floats of this kind for each pixel cannot be read")
    return _samples_page(stream, page, samples)


def _samples_page(stream: BinaryIO, page: TiffPageFound, samples: npt.NDArray[Any]) -> Picture:
    """A page of which the samples are known already, (H, W, 3 or 4), uint16 or float32."""
    notices: list[str] = []
    if samples.dtype == np.float32:
        words = words_from_floats(samples[..., :3], notices)
        if samples.shape[2] == 4:
            alpha = stretched(np.nan_to_num(samples[..., 3:]), 0, 1)
            words = np.concatenate([words, alpha], axis=2)
        samples = words
    stand_in = Image.new("RGB", (1, 1))
    stand_in.format = "TIFF"
    metadata = read_metadata(stand_in, stream, page.directory)
    notices += metadata.notices
    profile = page.directory.get(ICC_TAG)
    icc = profile.data if profile is not None else profile_of_tiff(page.directory)
    colours = to_srgb(stand_in, icc, notices, wide=turned(samples, page.value(274, 1)))
    return _picture(colours, metadata, notices, "TIFF")


def _with_pages(
    stream: BinaryIO,
    picture: Picture,
    pages: Sequence[TiffPageFound],
    label: str,
    max_pixels: int,
    memory_limit: int | None,
    wanted: bool,
) -> Picture:
    """All the other pages of a TIFF too, where they are wanted; one that is damaged costs only itself."""
    if len(pages) < 2:
        return picture
    picture = replace(picture, frames=len(pages))
    if not wanted:
        return replace(picture, notices=(f"first of {len(pages)} pages taken", *picture.notices))
    total = sum(page.pixels for page in pages)
    if total > max_pixels:
        raise InputError(
            f"{label}: {len(pages)} pages of {total / 1e6:.6g} megapixels are over the limit of "
            f"{max_pixels / 1e6:.6g}; raise --max-pixels to read them"
        )
    width = picture.size[1]
    check_file(label, width, -(-total // width), picture.pixels.dtype == np.uint16, memory_limit)
    others, lost = [], []
    for number, page in enumerate(pages[1:], 2):
        try:
            if page.is_float and page.samples > 1:
                others.append(_float_page(stream, page, label))
                continue
            with _open_page(stream, page) as image:
                others.append(_page(image, stream, page, label, max_pixels))
        except (MemoryError, OutOfMemoryError):
            raise
        except Exception:
            lost.append(str(number))
    said = [f"damaged pages left out: {', '.join(lost)} of {len(pages)}"] if lost else []
    said.extend(
        dict.fromkeys(line for page in others for line in page.notices if line not in picture.notices)
    )
    return replace(picture, pages=tuple(others), notices=(*picture.notices, *said))


def _loop(image: Image.Image) -> int | None:
    value = image.info.get("loop")
    return value if isinstance(value, int) else None
