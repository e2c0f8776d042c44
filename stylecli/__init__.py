"""stylecli: stylize images and videos with two linear-time models.

>>> from stylecli import Stylizer
>>> paint = Stylizer.from_pretrained("stylerwkv-s").encode_style(style_image)
>>> paint(photo).save("painted.png")
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stylecli.paint.style import Style
    from stylecli.paint.stylizer import Stylizer

__version__ = "0.2.0"
__all__ = ["Style", "Stylizer", "__version__"]


def __getattr__(name: str) -> Any:
    # Imported on first use: torch must not load on the way to `stylize --help`.
    if name in ("Style", "Stylizer"):
        from stylecli.paint import stylizer

        return getattr(stylizer, name)
    raise AttributeError(f"module 'stylecli' has no attribute {name!r}")
