"""What a file's header says, before anything of the size of its pixels is allocated."""

from __future__ import annotations

from PIL import Image

from stylecli.errors import InputError
from stylecli.media.colour import ProfileError, profile_mode, rgb_profile
from stylecli.media.reasons import too_large
from stylecli.memory import check_file


def check(
    label: str,
    size: tuple[int, int],
    frames: int,
    max_pixels: int,
    memory_limit: int | None,
    *,
    wide: bool,
    more: int = 0,
) -> None:
    """Refuse from the header what is too large, or does not fit into memory."""
    if min(size) < 1:
        raise InputError(f"{label}: has no pixels ({size[0]} × {size[1]})")
    if size[0] * size[1] > max_pixels:
        raise InputError(f"{label}: {too_large(size, max_pixels)}")
    if frames > 1:
        _check_frames(label, size, frames, max_pixels)
    check_file(label, size[0], size[1] * frames, wide, memory_limit, more)


def bytes_beside(image: Image.Image, wide: bool) -> int:
    """For each pixel: what transparency takes, and the file's own numbers where it has its own colours."""
    transparent = image.mode in ("LA", "PA", "RGBA", "RGBa") or "transparency" in image.info
    icc = image.info.get("icc_profile")
    try:
        own = isinstance(icc, bytes) and profile_mode(icc) == "RGB" and not rgb_profile(icc).is_srgb
    except ProfileError:
        own = False
    return (7 * transparent + 5 * own) * (2 if wide else 1)


def _check_frames(label: str, size: tuple[int, int], frames: int, max_pixels: int) -> None:
    if frames * size[0] * size[1] > max_pixels:
        raise InputError(
            f"{label}: {frames} frames of {size[0]} × {size[1]} are over the limit of {max_pixels / 1e6:.6g} "
            "megapixels; raise --max-pixels to read them"
        )


def count_frames(image: Image.Image, file_format: str) -> int:
    if file_format == "PSD":  # its "frames" are layers; what Pillow loads is the finished picture
        return 1
    try:
        return max(1, int(getattr(image, "n_frames", 1)))
    except Exception:  # a later frame is damaged; the first may be fine
        return 1


def grey_scale(image: Image.Image) -> tuple[int, bool]:
    """(value of white, whether white and black are swapped) of a 16-bit grey, before it is loaded.

    Pillow gives 12-bit TIFFs as they are in 16-bit words, and turns WhiteIsZero for 8 bits only.
    """
    if not image.mode.startswith("I;16"):
        return 65535, False
    tiles = getattr(image, "tile", None) or []
    twelve_bits = any("I;12" in str(tile) for tile in tiles)
    tags = getattr(image, "tag_v2", None) or {}
    return (4095 if twelve_bits else 65535), tags.get(262) == 0
