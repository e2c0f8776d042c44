"""Images in, images out: what the input carried (ICC, EXIF, XMP, alpha, resolution) comes out again.

The public names are loaded on first use (PEP 562), so that importing this package costs nothing;
Pillow and NumPy arrive with the first picture.

>>> from stylecli.media import read_picture, write_picture
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stylecli.media.animation import is_animated
    from stylecli.media.discover import Discovery, Found, Problem, find_images
    from stylecli.media.formats import output_suffix, readable_suffixes, writable_suffixes
    from stylecli.media.picture import Picture
    from stylecli.media.reading import read_picture
    from stylecli.media.repainting import repaint
    from stylecli.media.resizing import resize_to_fit
    from stylecli.media.transparency import visible
    from stylecli.media.writing import write_picture

_HOME = {
    "Discovery": "discover",
    "Found": "discover",
    "Picture": "picture",
    "Problem": "discover",
    "find_images": "discover",
    "is_animated": "animation",
    "output_suffix": "formats",
    "read_picture": "reading",
    "readable_suffixes": "formats",
    "repaint": "repainting",
    "resize_to_fit": "resizing",
    "visible": "transparency",
    "writable_suffixes": "formats",
    "write_picture": "writing",
}

__all__ = [
    "Discovery",
    "Found",
    "Picture",
    "Problem",
    "find_images",
    "is_animated",
    "output_suffix",
    "read_picture",
    "readable_suffixes",
    "repaint",
    "resize_to_fit",
    "visible",
    "writable_suffixes",
    "write_picture",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = value
    return value
