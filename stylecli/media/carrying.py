"""Where each format keeps what a picture carries beside its pixels, and what is said where it has no place for it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from PIL import ExifTags, PngImagePlugin

from stylecli.media.exif import ExifBlock, exif_for_size, shrunk_exif
from stylecli.media.ifd import bytes_field
from stylecli.media.metadata import iptc_segment, iptc_text, xmp_for_size
from stylecli.media.picture import Picture

WITH_EXIF = frozenset({"JPEG", "PNG", "WEBP", "TIFF", "AVIF"})
_WITH_IPTC = frozenset({"JPEG", "PNG", "TIFF"})
_SEGMENT = 65533 - len("http://ns.adobe.com/xap/1.0/\0")  # bytes that fit one JPEG segment
_COMMENT = "Comment"
_OURS = frozenset({int(ExifTags.Base.ProcessingSoftware)})  # the provenance of results
_USER_COMMENT = int(ExifTags.Base.UserComment)

# Texts of PNG that EXIF has a field for.
_FIELDS = {
    "Author": int(ExifTags.Base.Artist),
    "Copyright": int(ExifTags.Base.Copyright),
    "Description": int(ExifTags.Base.ImageDescription),
    "Title": int(ExifTags.Base.ImageDescription),
}


def carried(picture: Picture, writer: str, notices: list[str]) -> dict[str, Any]:
    """Keyword arguments for ``Image.save``; for TIFF ``exif`` is an ExifBlock, ``xmp`` and ``iptc`` are bytes."""
    height, width = picture.size
    options: dict[str, Any] = {}
    block = exif_for_size(picture.exif, width, height)
    if picture.exif and block is None and writer in WITH_EXIF:
        notices.append("damaged EXIF left out")
    block = _place_texts(picture, writer, block, options, notices)
    if writer in WITH_EXIF:
        if writer == "TIFF":
            options["exif"] = block
        elif block is not None:
            data = shrunk_exif(block, 65533 if writer == "JPEG" else 1 << 30)
            if data is None:
                notices.append(f"EXIF left out: too long for {writer}")
            elif data:
                options["exif"] = data
        if picture.xmp:
            _place_xmp(xmp_for_size(picture.xmp, width, height), writer, options, notices)
    else:
        lost = ["EXIF"] if block is not None and block.without(_OURS) != ExifBlock() else []
        lost += ["XMP"] if picture.xmp else []
        if lost:
            notices.append(f"{' and '.join(lost)} left out: {writer} has no place for it")
    if picture.iptc:
        _place_iptc(picture.iptc, writer, options, notices)
    return options


def _place_texts(
    picture: Picture, writer: str, block: ExifBlock | None, options: dict[str, Any], notices: list[str]
) -> ExifBlock | None:
    """Texts by their own way, or as fields of EXIF: returned with these."""
    texts = dict(picture.texts)
    if writer == "PNG":
        for key, text in texts.items():
            _png(options).add_text(key, text)
        return block
    if writer in ("JPEG", "GIF") and _COMMENT in texts:
        comment = texts[_COMMENT].encode()
        if len(comment) <= 65533:
            options["comment"] = comment
            del texts[_COMMENT]
    if writer in WITH_EXIF:
        fields = block or ExifBlock()
        for key, tag in _FIELDS.items():
            if key in texts and tag not in fields.main:
                fields = fields.with_text(tag, texts.pop(key))
        if _COMMENT in texts and _USER_COMMENT not in fields.photo and len(texts[_COMMENT]) < 30000:
            code = b"UNICODE\0" + texts.pop(_COMMENT).encode(
                "utf-16-le" if fields.order == "<" else "utf-16-be"
            )
            fields = replace(fields, photo=fields.photo | {_USER_COMMENT: bytes_field(code, fields.order)})
        block = fields if fields != ExifBlock() else block
    if texts:
        shown = ", ".join(sorted(texts)[:6]) + (", …" if len(texts) > 6 else "")
        notices.append(f"text left out, {writer} has no place for it: {shown}")
    return block


def _place_xmp(xmp: bytes, writer: str, options: dict[str, Any], notices: list[str]) -> None:
    if writer == "PNG":
        _png(options).add_itxt("XML:com.adobe.xmp", xmp.decode("utf-8", "replace"))
    elif writer == "JPEG" and len(xmp) > _SEGMENT:
        notices.append("XMP left out: too long for JPEG")
    else:
        options["xmp"] = xmp


def _place_iptc(iptc: bytes, writer: str, options: dict[str, Any], notices: list[str]) -> None:
    segment = iptc_segment(iptc) if writer == "JPEG" else None
    if writer == "PNG":
        _png(options).add_text("Raw profile type iptc", iptc_text(iptc), zip=True)
    elif writer == "TIFF":
        options["iptc"] = iptc
    elif segment is not None:
        options["extra"] = segment
    elif writer in _WITH_IPTC:
        notices.append(f"IPTC left out: too long for {writer}")
    else:
        notices.append(f"IPTC left out: {writer} has no place for it")


def _png(options: dict[str, Any]) -> PngImagePlugin.PngInfo:
    info = options.setdefault("pnginfo", PngImagePlugin.PngInfo())
    assert isinstance(info, PngImagePlugin.PngInfo)
    return info
