"""Pillow's process-wide switches, set for the time of a call and put back afterwards.

Pillow keeps its decompression-bomb limit in a module global and reports through ``warnings``, whose
filters are global too. Several threads read at once, so the first one in sets both and the last one
out restores them; in between the widest limit asked for holds, and each reader checks its own.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import logging
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from pathlib import Path

from PIL import Image

# Formats that Pillow names but that are no pictures, or that run another program to be drawn.
REFUSED_FORMATS = frozenset({"BUFR", "EPS", "GRIB", "HDF5", "IPTC", "MPEG", "PDF", "WMF"})

_lock = threading.RLock()
_limits: list[int] = []
_before: tuple[int | None, warnings.catch_warnings[None]] | None = None
_formats: tuple[str, ...] = ()


def readable_formats() -> tuple[str, ...]:
    """Pillow's names of all formats that are read, in the order in which Pillow tries them."""
    global _formats
    with _lock:  # importing the plugins twice at once would register some of them twice
        if not _formats:
            Image.init()
            _silence_libtiff()
            logging.getLogger("PIL").addHandler(logging.NullHandler())  # or its errors go to stderr
            with suppress(ImportError):  # not a dependency of ours: where it is installed, HEIC is read too
                import_module("pillow_heif").register_heif_opener()
            with suppress(ImportError):  # and JPEG XL
                import_module("pillow_jxl")
            _formats = tuple(name for name in Image.ID if name not in REFUSED_FORMATS)
        return _formats


def _silence_libtiff() -> None:
    """What libtiff complains of goes to stderr by itself, without a file's name. Pillow raises for what matters."""
    root = Path(Image.__file__).parent
    carried = [*root.parent.glob("pillow.libs/libtiff*"), *root.glob(".dylibs/libtiff*")]
    for name in map(str, carried) if carried else [ctypes.util.find_library("tiff")]:
        with suppress(OSError, AttributeError):  # built into Pillow, as on Windows
            if name is not None:
                library = ctypes.CDLL(name)
                library.TIFFSetErrorHandler(None)
                library.TIFFSetWarningHandler(None)


@contextmanager
def pillow_limits(max_pixels: int) -> Iterator[None]:
    """Within: Pillow raises ``DecompressionBombError`` above ``max_pixels``, not before, and never warns."""
    _enter(max_pixels)
    try:
        yield
    finally:
        _leave(max_pixels)


def _enter(max_pixels: int) -> None:
    global _before
    with _lock:
        if _before is None:
            catcher = warnings.catch_warnings()
            catcher.__enter__()
            warnings.filterwarnings("ignore", module=r"PIL(\.|$)")
            _before = (Image.MAX_IMAGE_PIXELS, catcher)
        _limits.append(max_pixels)
        Image.MAX_IMAGE_PIXELS = (max(_limits) + 1) // 2  # Pillow refuses above twice this number


def _leave(max_pixels: int) -> None:
    global _before
    with _lock:
        _limits.remove(max_pixels)
        if _limits:
            Image.MAX_IMAGE_PIXELS = (max(_limits) + 1) // 2
        elif _before is not None:
            Image.MAX_IMAGE_PIXELS, catcher = _before
            catcher.__exit__(None, None, None)
            _before = None
