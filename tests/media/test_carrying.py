"""What a picture carries beside its pixels, from every format to every format."""

from __future__ import annotations

import logging
import struct
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageSequence, PngImagePlugin

from stylecli.media import read_picture, resize_to_fit, write_picture
from stylecli.media.exif import ExifBlock, exif_with_provenance, read_exif
from stylecli.media.ifd import Field, text_field

ARTIST, COPYRIGHT, DESCRIPTION, LENS = 315, 33432, 270, 42036
NAMES = {ARTIST: "Zoë Müller", COPYRIGHT: "© 2024 Žižek", DESCRIPTION: "夕焼けの港"}
IPTC = b"\x1c\x02\x78\x00\x0b" + "夕焼け, k".encode()[:11] + b"\x1c\x02\x50\x00\x04Zo\xc3\xab"
KEEPS = {  # format -> what it has a place for
    "jpg": {"exif", "xmp", "iptc", "comment", "icc", "dpi"},
    "png": {"exif", "xmp", "iptc", "comment", "texts", "icc", "dpi"},
    "tif": {"exif", "xmp", "iptc", "icc", "dpi"},
    "webp": {"exif", "xmp", "icc"},
    "avif": {"exif", "xmp", "icc"},
    "bmp": {"dpi"},
    "gif": {"comment"},
    "jp2": set(),
}


def image() -> Image.Image:
    y, x = np.mgrid[0:24, 0:32]
    return Image.fromarray(np.stack([8 * x, 10 * y, x * y % 256], -1).astype(np.uint8))


def exif() -> bytes:
    main = {tag: text_field(text) for tag, text in NAMES.items()}
    photo = {LENS: text_field("Objektiv für Nähe"), 37500: Field(7, 5, b"\x01\x02\xff\x00\x04", "<")}
    gps = {1: text_field("N"), 2: Field(5, 3, struct.pack("<6I", 52, 1, 31, 1, 7, 2), "<")}
    return ExifBlock(main, photo, gps).tobytes()


def write_source(path: Path) -> None:
    """A file of its suffix's format with all that it can carry, by other means than the program's."""
    options: dict[str, object] = {
        "exif": exif(),
        "xmp": b"<x:xmpmeta>Zo\xc3\xab</x:xmpmeta>",
        "dpi": (300, 300),
    }
    if path.suffix == ".png":
        info = PngImagePlugin.PngInfo()
        info.add_itxt("XML:com.adobe.xmp", "<x:xmpmeta>Zoë</x:xmpmeta>")
        for key, text in (("Author", "Zoë"), ("Comment", "schön"), ("parameters", "steps: 20")):
            info.add_text(key, text)
        info.add_text("Raw profile type iptc", f"\niptc\n{len(IPTC):8}\n{IPTC.hex()}\n")
        options |= {"pnginfo": info}
    elif path.suffix == ".jpg":
        block = (
            b"Photoshop 3.0\0"
            + b"8BIM\x04\x04\0\0"
            + struct.pack(">I", len(IPTC))
            + IPTC
            + bytes(len(IPTC) % 2)
        )
        segment = b"\xff\xed" + struct.pack(">H", len(block) + 2) + block
        options |= {"comment": "schön".encode(), "extra": segment, "quality": 95}
    elif path.suffix == ".tif":
        options["tiffinfo"] = {33723: IPTC, 700: options.pop("xmp")}
        block_exif = Image.Exif()
        block_exif.load(exif())
        del options["exif"]
        options["tiffinfo"] |= {tag: text.encode() for tag, text in NAMES.items()}  # type: ignore[operator]
    image().save(path, **options)


@pytest.mark.parametrize("target", KEEPS)
@pytest.mark.parametrize("source", ["jpg", "png", "tif", "webp", "avif"])
def test_what_is_carried_and_what_is_named(tmp_path: Path, source: str, target: str) -> None:
    write_source(tmp_path / f"a.{source}")
    given = read_picture(tmp_path / f"a.{source}")
    assert given.notices == ()
    notices = write_picture(given, tmp_path / f"b.{target}")
    got = read_picture(tmp_path / f"b.{target}")
    has, keeps = KEEPS[source], KEEPS[target]
    if "exif" in keeps:
        block = read_exif(got.exif or b"")
        assert block is not None
        assert {tag: block.main[tag].text for tag in NAMES} == NAMES
        if source != "tif":
            assert block.photo[LENS].text == "Objektiv für Nähe" and block.photo[37500].data[2] == 0xFF
            assert block.gps[2].numbers()[4] == 7
    if "xmp" in keeps:
        assert got.xmp is not None and "Zoë" in got.xmp.decode()
    for name, what in (("EXIF", "exif"), ("XMP", "xmp")):
        assert (what in keeps) != any(name in line and "left out" in line for line in notices)
    if "iptc" in has:
        assert got.iptc == IPTC if "iptc" in keeps else any("IPTC left out" in line for line in notices)
    if "dpi" in has and "dpi" in keeps:
        assert got.dpi == pytest.approx((300, 300), abs=0.5)
    if "comment" in has:
        if "comment" in keeps:
            assert got.texts["Comment"] == "schön"
        elif "exif" in keeps:
            assert (
                block.photo[37510].data[8:].decode("utf-16-le" if block.order == "<" else "utf-16-be")
                == "schön"
            )
        else:
            assert any("text left out" in line and "Comment" in line for line in notices)
    if "texts" in has:
        assert (
            (got.texts["Author"], got.texts["parameters"]) == ("Zoë", "steps: 20")
            if "texts" in keeps
            else any("parameters" in line for line in notices)
        )


@pytest.mark.parametrize("bits", [8, 16])
def test_texts_of_both_depths(tmp_path: Path, bits: int) -> None:
    write_source(tmp_path / "a.png")
    given = read_picture(tmp_path / "a.png")
    if bits == 16:
        from dataclasses import replace

        given = replace(given, pixels=given.pixels.astype(np.uint16) * np.uint16(257))
    assert write_picture(given, tmp_path / "b.png") == ()
    got = read_picture(tmp_path / "b.png")
    assert dict(got.texts) == dict(given.texts) and got.iptc == IPTC and got.xmp == given.xmp
    assert got.exif == given.exif and got.pixels.dtype == given.pixels.dtype


def test_the_mark_keeps_text_as_it_is() -> None:
    block = read_exif(exif_with_provenance(exif(), 11, "stylecli 1"))
    assert block is not None and block.main[11].text == "stylecli 1"
    assert {tag: block.main[tag].text for tag in NAMES} == NAMES


@pytest.mark.parametrize(
    ("declared", "word"),
    [
        (b' GCamera:MotionPhoto="1" GCamera:MotionPhotoVersion="1"', "motion photo"),
        (b' GCamera:MicroVideo="1" GCamera:MicroVideoOffset="12345"', "motion photo"),
        (b' hdrgm:Version="1.0"', "gain map"),
        (b' HDRGainMap:HDRGainMapVersion="65536"', "gain map"),
        (b' GDepth:Format="RangeInverse" GDepth:Mime="image/jpeg"', "depth map"),
        (b' xmpNote:HasExtendedXMP="0123456789ABCDEF"', "extended XMP"),
    ],
)
def test_declarations_of_what_is_gone_go_too(tmp_path: Path, declared: bytes, word: str) -> None:
    container = (
        b'<Container:Directory><rdf:Seq><rdf:li rdf:parseType="Resource"><Container:Item '
        b'Item:Semantic="GainMap" Item:Length="99"/></rdf:li></rdf:Seq></Container:Directory>'
        if word == "gain map"
        else b""
    )
    packet = (
        b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF><rdf:Description dc:title="Hafen"' + declared + b">"
        b"<dc:creator>Zo\xc3\xab</dc:creator>" + container + b"</rdf:Description></rdf:RDF></x:xmpmeta>"
    )
    image().save(tmp_path / "a.jpg", xmp=packet)
    with (tmp_path / "a.jpg").open("ab") as stream:
        stream.write(b"\0\0\0\x18ftypmp42" + bytes(100))
    given = read_picture(tmp_path / "a.jpg")
    assert given.notices == (f"{word} left out, and what the XMP says of it",)
    name = declared.split(b":")[0].strip() + b":"
    assert given.xmp is not None and name not in given.xmp and b"Container" not in given.xmp
    assert b'dc:title="Hafen"' in given.xmp and "Zoë".encode() in given.xmp
    ElementTreeSafe = given.xmp.count(b"<") == given.xmp.count(b">")
    assert ElementTreeSafe


def tiff_pages(path: Path, compression: str | None = None) -> None:
    sizes = ((40, 30), (20, 50), (31, 17))
    pages = [Image.new("RGB", size, (60 * n, 90, 200)) for n, size in enumerate(sizes)]
    pages[1] = pages[1].convert("L")
    pages[0].save(path, save_all=True, append_images=pages[1:], dpi=(200, 200), compression=compression)


@pytest.mark.parametrize("compression", [None, "tiff_lzw", "tiff_adobe_deflate", "jpeg"])
@pytest.mark.parametrize("as_stream", [False, True])
def test_all_pages_of_a_tiff(tmp_path: Path, compression: str | None, as_stream: bool) -> None:
    tiff_pages(tmp_path / "a.tif", compression)
    source = BytesIO((tmp_path / "a.tif").read_bytes()) if as_stream else tmp_path / "a.tif"
    given = read_picture(source, animated=True)
    colours = [page.pixels[5, 5].tolist() for page in (given, *given.pages)]
    assert np.abs(np.array(colours) - [[0, 90, 200], [93, 93, 93], [120, 90, 200]]).max() <= 4
    assert [page.size for page in (given, *given.pages)] == [(30, 40), (50, 20), (17, 31)]
    assert given.frames == 3 and given.notices == ()
    assert write_picture(resize_to_fit(given, 25), tmp_path / "b.tif") == ()
    with Image.open(tmp_path / "b.tif") as written:
        sizes = [page.size for page in ImageSequence.Iterator(written)]
        assert sizes == [(25, 19), (10, 25), (25, 14)]
        assert written.info["dpi"] == (200, 200)
    notices = write_picture(given, tmp_path / "b.jpg")
    assert notices == ("first of 3 pages written: JPEG holds one",)


def test_every_page_is_painted(tmp_path: Path, stylize, styles) -> None:  # type: ignore[no-untyped-def]
    tiff_pages(tmp_path / "scan.tif")
    done = stylize("image", "scan.tif", "--style", "wave.png", "-o", "out.tif", "--device", "cpu")
    assert done.returncode == 0, done.stderr
    with Image.open(tmp_path / "out.tif") as written:
        flat = [np.asarray(page.convert("RGB")).std() for page in ImageSequence.Iterator(written)]
    assert len(flat) == 3 and min(flat) > 0.1  # one colour is what they were before


def test_a_damaged_page_costs_only_itself(tmp_path: Path) -> None:
    tiff_pages(tmp_path / "a.tif")
    data = bytearray((tmp_path / "a.tif").read_bytes())
    with Image.open(tmp_path / "a.tif") as opened:
        opened.seek(1)
        at = opened._frame_pos[1]  # type: ignore[attr-defined]
    fields = struct.unpack("<H", data[at : at + 2])[0]
    for row in range(fields):
        place = at + 2 + 12 * row
        if struct.unpack("<H", data[place : place + 2])[0] == 259:
            data[place + 8 : place + 10] = b"\x99\x99"  # a compression that nobody knows
    (tmp_path / "a.tif").write_bytes(data)
    given = read_picture(tmp_path / "a.tif", animated=True)
    assert [page.size for page in (given, *given.pages)] == [(30, 40), (17, 31)]
    assert given.notices == ("damaged pages left out: 2 of 3",)


def test_smaller_copies_are_no_pages(tmp_path: Path) -> None:
    tiff_pages(tmp_path / "a.tif")
    small = Image.new("RGB", (8, 8))
    image().save(tmp_path / "a.tif", save_all=True, append_images=[small], tiffinfo={254: 0})
    data = (tmp_path / "a.tif").read_bytes()
    last = data.rindex(b"\xfe\x00\x04\x00\x01\x00\x00\x00")
    (tmp_path / "a.tif").write_bytes(data[: last + 8] + b"\x01" + data[last + 9 :])
    given = read_picture(tmp_path / "a.tif", animated=True)
    assert given.pages == () and given.notices == ("1 smaller copies in the file left out",)


@pytest.mark.parametrize("frames", [1, 2])
def test_lossless_webp_stays_lossless(tmp_path: Path, frames: int) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (frames, 20, 30, 3), dtype=np.uint8)
    pictures = [Image.fromarray(one) for one in noise]
    more: dict[str, object] = {"save_all": True, "append_images": pictures[1:]} if frames > 1 else {}
    for lossless in (True, False):
        pictures[0].save(tmp_path / "a.webp", lossless=lossless, **more)
        given = read_picture(tmp_path / "a.webp", animated=True)
        assert given.lossless == lossless
        write_picture(given, tmp_path / "b.webp")
        exact = np.array_equal(read_picture(tmp_path / "b.webp").pixels, given.pixels)
        assert exact == lossless
        write_picture(given, tmp_path / "c.webp", quality=50)  # asked for: then with loss
        assert not np.array_equal(read_picture(tmp_path / "c.webp").pixels, given.pixels)


def test_no_library_speaks_past_us(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    image().save(tmp_path / "a.tif", compression="tiff_lzw")
    data = bytearray((tmp_path / "a.tif").read_bytes())
    data[40:90] = bytes(range(50))
    (tmp_path / "a.tif").write_bytes(data)
    from stylecli.errors import InputError

    for name in (tmp_path / "a.tif",):
        try:
            read_picture(name)
        except InputError as error:
            assert str(error).startswith("a.tif: ")
    assert capfd.readouterr().err == ""
    assert logging.getLogger("PIL").handlers  # without one, Python prints what Pillow logs


def test_further_pictures_of_an_mpo_are_named(tmp_path: Path) -> None:
    image().save(tmp_path / "a.jpg", "MPO", save_all=True, append_images=[image().rotate(180)] * 2)
    given = read_picture(tmp_path / "a.jpg", animated=True)
    assert given.format == "MPO" and given.more == ()
    assert given.notices == (
        "2 further pictures in the file (preview, gain map, depth map, other eye) left out",
    )


def test_sizes_in_xmp_are_those_of_the_result(tmp_path: Path) -> None:
    packet = b"<x tiff:ImageWidth=\"4000\" exif:PixelYDimension='3000'><tiff:ImageLength>3000</tiff:ImageLength></x>"
    image().save(tmp_path / "a.jpg", xmp=packet)
    write_picture(resize_to_fit(read_picture(tmp_path / "a.jpg"), 16), tmp_path / "b.jpg")
    got = read_picture(tmp_path / "b.jpg").xmp
    assert (
        got
        == b"<x tiff:ImageWidth=\"16\" exif:PixelYDimension='12'><tiff:ImageLength>12</tiff:ImageLength></x>"
    )


def test_xmp_in_imagemagicks_way(tmp_path: Path) -> None:
    info = PngImagePlugin.PngInfo()
    packet = "<x>Zoë</x>".encode()
    info.add_text("Raw profile type xmp", f"\nxmp\n{len(packet):8}\n{packet.hex()}\n")
    info.add_text("Raw profile type exif", f"\nexif\n{len(exif()):8}\n{exif().hex()}\n")
    image().save(tmp_path / "a.png", pnginfo=info)
    given = read_picture(tmp_path / "a.png")
    block = read_exif(given.exif or b"")
    assert given.xmp == packet and block is not None and block.main[ARTIST].text == "Zoë Müller"


def test_what_a_psd_carries(tmp_path: Path) -> None:
    blocks = b""
    for number, data in (
        (0x0404, IPTC),
        (0x0422, exif().removeprefix(b"Exif\0\0")),
        (0x0424, b"<x>Zo\xc3\xab</x>"),
    ):
        blocks += b"8BIM" + struct.pack(">HHI", number, 0, len(data)) + data + bytes(len(data) % 2)
    head = b"8BPS" + struct.pack(">H6xHIIHH", 1, 3, 4, 6, 8, 3) + struct.pack(">I", 0)
    pixels = np.random.default_rng(0).integers(0, 256, (3, 4, 6), dtype=np.uint8)
    body = struct.pack(">I", len(blocks)) + blocks + struct.pack(">IH", 0, 0) + pixels.tobytes()
    (tmp_path / "a.psd").write_bytes(head + body)
    given = read_picture(tmp_path / "a.psd")
    assert (given.pixels == pixels.transpose(1, 2, 0)).all()
    assert given.iptc == IPTC and given.xmp == b"<x>Zo\xc3\xab</x>"
    block = read_exif(given.exif or b"")
    assert block is not None and block.main[ARTIST].text == "Zoë Müller"


def test_what_is_lost_is_said_without_asking(tmp_path: Path, stylize, styles) -> None:  # type: ignore[no-untyped-def]
    (tmp_path / "in").mkdir()
    write_source(tmp_path / "in" / "a.jpg")
    (tmp_path / "in" / "phone.heic").write_bytes(b"x")
    done = stylize("image", "in", "--style", "wave.png", "--format", "webp", "-o", "out/", "--device", "cpu")
    said = done.stderr.decode()
    assert done.returncode == 0, said
    assert "in: a HEIC photo left out (phone.heic): pip install pillow-heif lets them be read" in said
    assert "IPTC left out: WEBP has no place for it" in said


@pytest.mark.parametrize("suffix", ["jpg", "webp", "avif"])  # not PNG: a checksum
def test_text_of_turned_pictures(tmp_path: Path, suffix: str) -> None:
    block = read_exif(exif())
    assert block is not None
    block.main[274] = Field(3, 1, b"\x06\0", "<")
    stand_ins = {tag: bytes([65 + n]) * len(text.encode()) for n, (tag, text) in enumerate(NAMES.items())}
    block.main.update({tag: text_field(text.decode()) for tag, text in stand_ins.items()})
    image().save(tmp_path / f"a.{suffix}", exif=block.tobytes())
    data = (tmp_path / f"a.{suffix}").read_bytes()
    for tag, text in stand_ins.items():  # Pillow itself would write question marks
        data = data.replace(text, NAMES[tag].encode())
    (tmp_path / f"a.{suffix}").write_bytes(data)
    got = read_picture(tmp_path / f"a.{suffix}")
    found = read_exif(got.exif or b"")
    assert got.size == (32, 24) and found is not None and 274 not in found.main
    assert {tag: found.main[tag].text for tag in NAMES} == NAMES
