"""Why a file is not read, in one line for a person."""

from __future__ import annotations

import errno

from PIL import Image

RAW_FILE = "a raw file of {maker}, {help}"

_EXPORT = "export it as TIFF or PNG first"
_FILM = "not an image that can be read (a film? stylize video paints those)"
_RAW_STARTS = {
    b"FUJIFILMCCD-RAW": "Fujifilm", b"IIU\0": "Panasonic or Leica", b"IIRO": "Olympus", b"IIRS": "Olympus",
    b"MMOR": "Olympus", b"FOVb": "Sigma", b"\0MRM": "Minolta", b"II\x1a\0\0\0HEAPCCDR": "Canon",
}  # fmt: skip


def one_line(text: str) -> str:
    """Printable, on one line: names may hold line breaks and bytes that are no text."""
    flat = " ".join(text.split()) if any(not char.isprintable() for char in text) else text
    return flat.encode("utf-8", "replace").decode()


def detail(error: BaseException) -> str:
    text = one_line(str(error))[:120]
    return text or type(error).__name__


def why_not_decoded(error: Exception) -> str:
    text = str(error).lower()
    if "truncated" in text or "unexpected end" in text or isinstance(error, EOFError):
        return "the file is cut short; get a complete copy"
    return f"damaged image ({detail(error)})"


def system_words(error: OSError) -> str:
    words = {
        errno.ENOENT: "no such file",
        errno.ENOTDIR: "no such file",
        errno.EISDIR: "is a folder, not an image",
        errno.EACCES: "no permission to read it",
        errno.EPERM: "no permission to read it",
        errno.ELOOP: "a link that leads in a circle",
    }
    return words.get(error.errno or 0) or one_line(error.strerror or "") or detail(error)


def too_large(size: tuple[int, int] | None, max_pixels: int) -> str:
    limit = f"over the limit of {max_pixels / 1e6:.6g}; raise --max-pixels to read it"
    if size is None:
        return f"more megapixels than it may have, {limit}"
    width, height = size
    return f"{width} × {height} = {width * height / 1e6:.6g} megapixels is {limit}"


def bomb_size(error: Image.DecompressionBombError) -> tuple[int, int] | None:
    """Pillow's error names the product only; the check that raised it still holds both sides."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    size = trace.tb_frame.f_locals.get("size") if trace is not None else None
    return (int(size[0]), int(size[1])) if isinstance(size, tuple) and len(size) == 2 else None


def raw_maker(head: bytes) -> str | None:
    """Whose raw file begins so, where it is none that looks like a TIFF."""
    if head[4:11] == b"ftypcrx":
        return "Canon"
    return next((name for start, name in _RAW_STARTS.items() if head.startswith(start)), None)


def what_it_is(head: bytes) -> str:
    """Why these first bytes are no image, with the way out where there is one."""
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n")
    if head.startswith(b"%PDF"):
        return "a PDF document; export its pages as images first"
    if head.startswith((b"%!PS", b"\xc5\xd0\xd3\xc6")):
        return "a PostScript drawing; export it as PNG first"
    if start[:5].lower() == b"<svg " or (start[:5].lower() == b"<?xml" and b"<svg" in head.lower()):
        return "an SVG drawing; export it as PNG first"
    if head.startswith((b"\xff\x0a", b"\0\0\0\x0cJXL ")):
        return (
            "a JPEG XL picture: pip install pillow-jxl-plugin lets it be read; or convert it to JPEG or PNG"
        )
    if head.startswith(b"8BPS"):
        kind = "a PSB (large Photoshop) document" if head[4:6] == b"\0\2" else "a Photoshop document"
        depth = int.from_bytes(head[22:24], "big")
        deep = f" with {depth} bits for each colour" if depth in (16, 32) else " of a kind that is not read"
        return f"{kind}{deep}; save it as TIFF first"
    if head.startswith((b"#?RADIANCE", b"#?RGBE")):
        return f"a Radiance HDR picture; {_EXPORT}"
    if head[4:8] == b"ftyp":
        if head[8:12] in (b"heic", b"heix", b"hevc", b"heim", b"heis", b"mif1", b"msf1"):
            return "a HEIC photo: pip install pillow-heif lets it be read; or convert it to JPEG or PNG"
        return _FILM
    if head.startswith(b"\x1aE\xdf\xa3") or (head[:4] == b"RIFF" and head[8:12] == b"AVI "):
        return _FILM
    if b"\x00" not in head:
        try:
            head[:-4].decode("utf-8") if len(head) == 4096 else head.decode("utf-8")
        except UnicodeDecodeError:
            pass
        else:
            return "not an image that can be read (text file?)"
    return "not an image that can be read (unknown or damaged content)"
