"""Write a picture so that nothing the input carried is lost, and nothing half-written is ever seen."""

from __future__ import annotations

from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from PIL import Image, PngImagePlugin

from stylecli.errors import InputError, OutOfMemoryError
from stylecli.files.atomic import CheckedFile, atomic_file, write_error
from stylecli.media import animation
from stylecli.media.carrying import carried
from stylecli.media.colour import ProfileError, RgbProfile, rgb_profile
from stylecli.media.formats import writable_suffixes, writer_for
from stylecli.media.picture import Picture, WholeArray
from stylecli.media.pillow_guard import pillow_limits
from stylecli.media.tiff import TiffPage, write_tiff
from stylecli.media.wide import write_png
from stylecli.paint.pixels import strips, to_bytes, to_depth

DEFAULT_QUALITY = 95
_CARRIED = frozenset({"exif", "xmp", "iptc", "pnginfo", "comment", "extra"})

_WITH_ICC = frozenset({"JPEG", "PNG", "WEBP", "TIFF", "AVIF"})
_WITH_DPI = frozenset({"JPEG", "PNG", "TIFF", "BMP"})
_WITH_ALPHA = frozenset({"PNG", "WEBP", "TIFF", "AVIF", "JPEG2000", "TGA", "GIF"})
_WITH_16_BITS = frozenset({"PNG", "TIFF"})
_LONGEST_SIDE = {"JPEG": 65500, "WEBP": 16383, "AVIF": 65536, "TGA": 65535}  # pixels


def write_picture(
    picture: Picture,
    target: Path | BinaryIO,
    *,
    format: str | None = None,
    quality: int | None = None,
    replace_existing: bool = True,
) -> tuple[str, ...]:
    """Write ``picture`` atomically; returns notices, lines about what the format could not hold.

    ``format`` is a suffix or name (``png``, ``JPEG``); by default the target's suffix, for a stream the
    picture's own format where that can be written, else PNG. PNG and TIFF get 16 bits where the pixels have them;
    elsewhere these are dithered to 8. ``quality`` is 1..100 (default 95) for
    JPEG, WebP and AVIF; 100 makes WebP lossless. JPEG is written 4:4:4. Formats without transparency
    get the picture laid on white. Colours go back to the picture's own profile, which is embedded.

    Raises ``InputError`` naming the target when the place or the format refuses, or when the pixels
    hold NaN or infinity; ``OutOfMemoryError``; ``ValueError`` when pixels and alpha have different or wrong shapes.
    """
    label = str(target) if isinstance(target, Path) else "output"
    writer = _choose_writer(picture, target, format, label)
    height, width = picture.size
    if picture.pixels.shape != (height, width, 3) or min(height, width) < 1:
        raise ValueError(f"pixels must be (H, W, 3), not {picture.pixels.shape}")
    if picture.alpha is not None and picture.alpha.shape != (height, width):
        raise ValueError(f"alpha {picture.alpha.shape} does not fit pixels {picture.pixels.shape}")
    longest = _LONGEST_SIDE.get(writer)
    if longest is not None and max(height, width) > longest:
        raise InputError(
            f"{label}: {width} × {height} is too large for {writer} (at most {longest} a side); "
            "use --format png"
        )

    notices: list[str] = []
    with pillow_limits(width * height):
        image, icc = _build_image(picture, writer, label, notices)
        options = _options(picture, writer, quality, notices)
        if picture.more and writer in animation.ANIMATED and isinstance(image, Image.Image):
            others = [
                _build_image(
                    replace(picture, pixels=f.pixels, alpha=f.alpha, unpainted=f.unpainted, more=()),
                    writer,
                    label,
                    [],
                )[0]
                for f in picture.more
            ]
            images = animation.alike([image, *(one for one in others if isinstance(one, Image.Image))])
            image = images[0]
            options |= animation.options(picture, images, writer)
        elif writer == "TIFF":
            options["pages"] = [_page(page, label, notices) for page in picture.pages]
        elif picture.pages:
            notices.append(f"first of {1 + len(picture.pages)} pages written: {writer} holds one")
        if picture.more and "save_all" not in options:
            notices.append(f"first of {1 + len(picture.more)} frames written: {writer} holds one")
        if icc is not None:
            options["icc_profile"] = icc
        if isinstance(target, Path):
            with atomic_file(target, replace=replace_existing) as file:
                _encode(image, file, writer, options, label, notices)
        else:
            encoded = BytesIO()  # whole or not at all: encoders seek, and may fail halfway
            _encode(image, encoded, writer, options, label, notices)
            try:
                target.write(encoded.getbuffer())
                target.flush()
            except OSError as error:
                raise write_error(label, error) from error
    return tuple(notices)


def _choose_writer(picture: Picture, target: Path | BinaryIO, format: str | None, label: str) -> str:
    if format is not None:
        wanted = format
    elif isinstance(target, Path):
        wanted = target.suffix
    else:
        still = picture.format == "GIF" and not picture.more  # 256 colours are for what must be a GIF
        return "PNG" if still else writer_for(picture.format) or "PNG"
    writer = writer_for(wanted) if wanted else None
    if writer is None:
        known = ", ".join(suffix[1:] for suffix in writable_suffixes())
        raise InputError(
            f"{label}: {wanted or 'a name without suffix'} cannot be written; choose one of {known}"
        )
    return writer


@dataclass(frozen=True)
class _Wide:
    """Pixels of a TIFF, or of a PNG with 16 bits, with the one method of Pillow's images that is needed here."""

    pixels: WholeArray
    alpha: WholeArray | None

    def save(self, stream: BinaryIO, format: str, **options: Any) -> None:
        icc, dpi = options.get("icc_profile"), options.get("dpi")
        if format == "TIFF":
            exif, xmp, iptc = (options.get(name) for name in ("exif", "xmp", "iptc"))
            first = TiffPage(self.pixels, self.alpha, exif, icc, xmp, iptc, dpi)
            write_tiff(stream, [first, *options.get("pages", ())])
        else:
            info: PngImagePlugin.PngInfo | None = options.get("pnginfo")
            chunks = [] if info is None else [(chunk[0], chunk[1]) for chunk in info.chunks]
            write_png(
                stream, self.pixels, self.alpha, icc=icc, dpi=dpi, exif=options.get("exif"), chunks=chunks
            )


def _build_image(
    picture: Picture, writer: str, label: str, notices: list[str]
) -> tuple[Image.Image | _Wide, bytes | None]:
    """The image in its final colours, and the profile to embed."""
    icc = picture.icc if writer in _WITH_ICC else None
    profile = None
    if icc is not None:
        try:
            profile = rgb_profile(icc)
            if not profile.two_way:
                raise ProfileError("it works one way only")
        except ProfileError as error:
            notices.append(f"colour profile left out, written as sRGB: {error}")
            icc = profile = None

    pixels = picture.pixels
    if pixels.dtype != np.uint16 or writer not in _WITH_16_BITS:
        try:
            pixels = to_bytes(pixels)
        except ValueError as error:
            raise InputError(f"{label}: not written: {error} (try --dtype fp32)") from error
    pixels = _in_own_colours(picture, pixels, profile)
    if writer == "TIFF" or pixels.dtype == np.uint16:
        alpha = None if picture.alpha is None else to_depth(picture.alpha, pixels.dtype)
        return _Wide(pixels, alpha), icc
    image = Image.fromarray(pixels)
    if picture.alpha is not None:
        mask = Image.fromarray(to_depth(picture.alpha, np.uint8))
        if writer in _WITH_ALPHA:
            image.putalpha(mask)
        else:
            image = Image.composite(image, Image.new("RGB", image.size, (255, 255, 255)), mask)
    image.info.clear()  # savers also look here: only what _options names may be written
    return image, icc


def _page(picture: Picture, label: str, notices: list[str]) -> TiffPage:
    """Another page of a TIFF."""
    image, icc = _build_image(picture, "TIFF", label, notices)
    assert isinstance(image, _Wide)
    with_it = carried(picture, "TIFF", notices)
    return TiffPage(
        image.pixels, image.alpha, with_it["exif"], icc, with_it.get("xmp"), with_it.get("iptc"), picture.dpi
    )


def _in_own_colours(picture: Picture, pixels: WholeArray, profile: RgbProfile | None) -> WholeArray:
    """Its pixels in the space of ``profile`` (None: sRGB), with what no painter saw of them."""
    result = pixels if profile is None else profile.from_srgb(pixels)
    unpainted = picture.unpainted
    if unpainted is None or (profile is None and picture.icc is not None):
        return result
    result = result.copy() if result is pixels else result
    white = int(np.iinfo(result.dtype).max)
    for top, bottom in strips(*result.shape[:2]):
        own, seen = (_in_kind(v[top:bottom], result.dtype) for v in (unpainted.own, unpainted.seen))
        seen = seen if profile is None else profile.from_srgb(seen)
        share = unpainted.share
        part = np.float32(share) if isinstance(share, float) else share[top:bottom, :, None]
        missing = (own.astype(np.float32) - seen) * part
        result[top:bottom] = np.clip(np.rint(result[top:bottom] + missing), 0, white)
    return result


def _in_kind(values: WholeArray, dtype: np.dtype[Any]) -> WholeArray:
    """16-bit values for a file of 8 bits."""
    return values if values.dtype == dtype else np.rint(values / np.float32(257)).astype(dtype)


def _options(picture: Picture, writer: str, quality: int | None, notices: list[str]) -> dict[str, Any]:
    """Keyword arguments for ``Image.save``."""
    as_it_was = picture.lossless and writer == picture.format
    usual = 100 if as_it_was else DEFAULT_QUALITY
    level = usual if quality is None else min(100, max(1, quality))
    options: dict[str, Any] = {}
    if writer == "JPEG":
        options |= {"quality": level, "subsampling": 0}
    elif writer == "PNG":
        options |= {"compress_level": 3}  # beyond it the time doubles for a few percent
    elif writer == "WEBP":
        # exact: colours under full transparency stay, as in PNG
        options |= {"lossless": level == 100, "quality": 75 if level == 100 else level, "exact": True}
    elif writer == "AVIF":
        if as_it_was and quality is None:
            notices.append("lossless AVIF written with quality 100, which loses a little")
        options |= {"quality": level, "subsampling": "4:4:4"}
    elif writer == "TGA":
        options |= {"compression": "tga_rle"}

    if picture.dpi is not None and writer in _WITH_DPI:
        options["dpi"] = picture.dpi
    return options | carried(picture, writer, notices)


def _encode(
    image: Image.Image | _Wide,
    stream: CheckedFile | BytesIO,
    writer: str,
    options: dict[str, Any],
    label: str,
    notices: list[str],
) -> None:
    try:
        image.save(stream, format=writer, **options)  # type: ignore[arg-type]  # all of a file that it uses
        return
    except MemoryError as error:
        raise OutOfMemoryError(f"{label}: not enough memory to encode it") from error
    except Exception as error:
        if isinstance(stream, CheckedFile):
            stream.check()  # the disk may be to blame
        reason = " ".join(str(error).split()) or type(error).__name__
        if not options.keys() & _CARRIED:
            raise InputError(f"{label}: {writer} cannot hold it ({reason})") from error
    # Encoders check values that the EXIF of real cameras gets wrong. The picture matters more.
    notices.append(f"EXIF, XMP and texts left out: {writer} cannot hold them ({reason})")
    bare = {key: value for key, value in options.items() if key not in _CARRIED}
    stream.seek(0)
    stream.truncate()
    _encode(image, stream, writer, bare, label, notices)
