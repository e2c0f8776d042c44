"""Makes the pictures of README and docs again, with the weights that ship, into docs/images/.

    python docs/pictures.py                  # all of them
    python docs/pictures.py hero film        # some

Photographs are those of docs/images/photographs/ (free, SOURCES.txt) and scenes that the package draws itself; styles
are the ready ones. Plots (quality.png, scale.png, convergence.png) come from ``stylize bench ... -o``.
"""

from __future__ import annotations

import functools
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from PIL import Image

from stylecli import Stylizer
from stylecli.montage import gallery, grid, inset
from stylecli.samples import CONTENTS, READY

IMAGES = Path(__file__).parent / "images"

HERO = ["stained-glass", "linocut", "colour-blocks", "halftone", "marbling", "neon"]
HERO_PHRASE = "Vincent van Gogh style"
PHRASES = ["Vincent van Gogh style", "ukiyo-e", "line sketch", "cubism painting", "Roy Lichtenstein style"]
CROPS, LARGE = ["night-swirls", "woodblock", "mosaic", "ink-hatching"], 3464
DIAL = ["linocut", "marbling"]
FILM_STYLE, FILM_FRAMES, FILM_SIZE, FILM_FPS = "colour-blocks", 30, (480, 320), 12


@functools.cache
def network() -> Stylizer:
    return Stylizer.from_pretrained()


def photograph(name: str, height: int) -> Image.Image:
    picture = Image.open(IMAGES / "photographs" / f"{name}.jpg").convert("RGB")
    return picture.resize((round(picture.width * height / picture.height), height), Image.Resampling.LANCZOS)


def painted(photo: Image.Image, style: str) -> Image.Image:
    drawn = READY[style](512)
    return inset(network().encode_style(drawn)(photo), drawn, share=0.3)


def hero() -> None:
    """One photograph, six ready styles and a phrase, large enough to see strokes."""
    photo = photograph("cat", 400)
    tiles = [("the photograph", photo), *((f"@{style}", painted(photo, style)) for style in HERO)]
    tiles.append((f'"{HERO_PHRASE}"', network().encode_prompt(HERO_PHRASE)(photo)))
    gallery(tiles, columns=4, cell=600, gap=12, font_size=30).save(IMAGES / "hero.jpg", quality=88)


def phrases() -> None:
    """Three photographs after the same phrases."""
    rows = []
    for name in ("astronaut", "coffee", "rocket"):
        photo = photograph(name, 400)
        left = (photo.width - 400) // 2
        square = photo.crop((left, 0, left + 400, 400))
        rows.append([square, *(network().encode_prompt(phrase)(square) for phrase in PHRASES)])
    labels = ["the photograph", *(f'"{phrase}"' for phrase in PHRASES)]
    grid(rows, column_labels=labels, cell=320, gap=10).save(IMAGES / "phrases.jpg", quality=88)


def ready() -> None:
    """A drawn scene in every ready style."""
    scene = CONTENTS["lighthouse"](512)
    tiles = [("lighthouse", scene), *((f"@{style}", painted(scene, style)) for style in READY)]
    gallery(tiles, columns=6, cell=256).save(IMAGES / "ready.jpg", quality=88)


def dial() -> None:
    """One pass, --refine and --polish, with the seconds of a processor that each took."""
    photo, tiles = photograph("astronaut", 512), []
    for style in DIAL:
        drawn = READY[style](512)
        once = network().encode_style(drawn, texture=True)
        tiles.append((f"@{style}", inset(photo, drawn, share=0.3)))
        for name in ("one pass", "--refine 60", "--polish 60"):
            began = time.process_time()
            paint = once.refine(60) if "refine" in name else once
            painting = paint(photo, polish=60 if "polish" in name else 0)
            tiles.append((f"{name}: {time.process_time() - began:.1f} s", painting))
    gallery(tiles, columns=4, cell=400, gap=12).save(IMAGES / "dial.jpg", quality=88)


def crops() -> None:
    """Crops of one pass, twice enlarged: a photograph of 512 pixels, and a scene of 12 megapixels (a quarter of it)."""
    portrait, scene = photograph("astronaut", 512), CONTENTS["lighthouse"](LARGE)
    rows = []
    for style in CROPS:
        drawn = READY[style](512)
        paint = network().encode_style(drawn)
        near, far = paint(portrait), paint(scene)
        half, quarter = LARGE // 2, LARGE // 4
        parts = [
            drawn.crop((128, 128, 384, 384)),
            near.crop((130, 40, 386, 296)),
            far.crop((half - quarter, quarter, half + quarter, quarter + half)),
        ]
        rows.append([part.resize((512, 512), Image.Resampling.LANCZOS) for part in parts])
    labels = ["the style", "256 of 512 pixels, twice enlarged", "1732 of 3464 pixels, at a third"]
    grid(rows, column_labels=labels, cell=512, gap=8).save(IMAGES / "crops.jpg", quality=85)


def film() -> None:
    """A camera that moves over a drawn scene, painted by ``stylize video``, as a small animation."""
    width, height = FILM_SIZE
    scene = CONTENTS["lighthouse"](3 * width // 2)
    with tempfile.TemporaryDirectory() as folder:
        frames, out = Path(folder, "frames"), Path(folder, "out")
        frames.mkdir(), out.mkdir()
        for index in range(FILM_FRAMES):
            part = index / (FILM_FRAMES - 1)
            x, y, zoom = 100 * part, 110 + 60 * part, 1.25 - 0.25 * part
            box = (x, y, x + width * zoom, y + height * zoom)
            scene.resize(FILM_SIZE, Image.Resampling.LANCZOS, box=box).save(frames / f"{index:03d}.png")
        command = [sys.executable, "-m", "stylecli", "video", f"{frames}/%03d.png", "--fps", str(FILM_FPS)]
        subprocess.run([*command, "-s", f"@{FILM_STYLE}", "-o", f"{out}/%03d.png", "-q"], check=True)
        pictures = []
        for path in sorted(out.glob("*.png")):
            pictures.append(inset(Image.open(path), Image.open(frames / path.name), share=0.4))
    options = {"duration": 1000 // FILM_FPS, "loop": 0, "quality": 50, "method": 6}
    once_and_back = pictures + pictures[-2:0:-1]
    once_and_back[0].save(IMAGES / "film.webp", save_all=True, append_images=once_and_back[1:], **options)


if __name__ == "__main__":
    made = {make.__name__: make for make in (hero, phrases, ready, dial, crops, film)}
    for name in sys.argv[1:] or made:
        began = time.monotonic()
        made[name]()
        sys.stderr.write(f"{name}: {time.monotonic() - began:.0f} s\n")
