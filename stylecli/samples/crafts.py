"""Styles that are crafts: print, thread, stone, floating ink, light and the drawing board."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from stylecli.samples import scene as of
from stylecli.samples.canvas import (
    Colour,
    Field,
    blur,
    coordinates,
    lay,
    noise,
    palette,
    smoothstep,
    to_image,
)


def halftone(size: int) -> Image.Image:
    """A panel of an old comic: flat inks, dots in three screens, and a black outline."""
    rng = np.random.default_rng(109)
    scene = of.valley(size, rng, wobble=0.5)
    x, y = coordinates(size)
    flat = scene.coloured(of.DAY)
    flat = np.clip(flat.mean(-1, keepdims=True) + (flat - flat.mean(-1, keepdims=True)) * 2.1, 0, 1)
    ink = np.clip(1 - flat * (0.72 + 0.5 * scene.light[..., None]), 0, 1)
    canvas = np.full((size, size, 3), (0.97, 0.93, 0.83), np.float32)
    pitch = 0.0135
    screens = ((0.26, (0.05, 0.58, 0.86)), (1.31, (0.90, 0.14, 0.42)), (0.0, (0.98, 0.86, 0.10)))
    for channel, (turn, colour) in enumerate(screens):
        u = (x * np.cos(turn) + y * np.sin(turn)) / pitch
        v = (-x * np.sin(turn) + y * np.cos(turn)) / pitch
        radius = np.hypot(u % 1 - 0.5, v % 1 - 0.5)
        wanted = np.sqrt(np.clip(blur(ink[..., channel], size / 300), 0, 1) / np.pi) * 1.25
        dot = smoothstep(0.5, -0.5, (radius - wanted) * np.float32(pitch * size))
        canvas = canvas * (1 - dot[..., None] * (1 - np.array(colour, np.float32)))
    line = of.edges(scene.labels, max(2, size // 130)).astype(np.float32)
    shadow = ((scene.light < 0.36) & np.isin(scene.labels, (of.CROWN, of.ROOF, of.TRUNK, of.NEAR))).astype(
        np.float32
    )
    black = smoothstep(0.35, 0.65, blur(np.maximum(line, shadow), size / 500))
    canvas = lay(canvas.astype(np.float32), (0.07, 0.06, 0.09), black)
    return to_image(canvas + 0.012 * noise(size, rng, scale=70, octaves=3)[..., None])


def linocut(size: int) -> Image.Image:
    """Black ink on cream from a block of lino: white furrows of the gouge follow every shape."""
    rng = np.random.default_rng(113)
    scene = of.valley(size, rng, wobble=1.2)
    x, y = coordinates(size)
    tone = 0.12 + 0.80 * scene.light
    dark = np.array((0.30, 0.05, 0.05, 0.45, 0.62, 0.40, 0.35, 0.80, 0.90, 0.20, 0.85), np.float32)
    tone = np.clip(tone - 0.55 * dark[scene.labels] + 0.18, 0.02, 0.95)
    drift = 0.010 * noise(size, rng, scale=8, octaves=2)
    across = -x * np.sin(scene.angle) + y * np.cos(scene.angle) + drift
    along = x * np.cos(scene.angle) + y * np.sin(scene.angle)
    rays = (scene.labels == of.SKY) | (scene.labels == of.CLOUD)
    sun = np.hypot(x - 0.68, y - 0.24)
    spokes = np.arctan2(y - 0.24, x - 0.68) * 0.30
    across = np.where(rays, spokes + 0.4 * drift, across)
    along = np.where(rays, sun, along)
    round_ = scene.labels == of.CROWN
    across = np.where(round_, scene.away + 0.5 * drift, across)
    along = np.where(round_, scene.angle * 0.16, along)
    pitch = np.float32(0.0165)
    row = np.floor(across / pitch)
    breaks = np.sin(row * 78.233) * 43758.5453 % 1.0
    taper = np.abs((along * 5.0 + breaks * 3) % 1 - 0.5) * 2
    gouge = tone * 1.25 * (1.1 - 0.75 * taper**3) - np.abs((across / pitch) % 1 - 0.5) * 2
    light = smoothstep(-0.5, 0.5, gouge * pitch * np.float32(size / 2.2))
    outline = smoothstep(
        0.3, 0.7, blur(of.edges(scene.labels, max(2, size // 150)).astype(np.float32), size / 500)
    )
    light = np.maximum(light, outline)
    light = np.where(scene.labels == of.SUN, 1.0, light).astype(np.float32)
    chatter = smoothstep(1.9, 2.3, noise(size, rng, scale=60, octaves=2, stretch=(3.0, 1.0)))
    ink = np.clip(1 - light - 0.8 * chatter * (1 - light), 0, 1)
    grain = noise(size, rng, scale=120, octaves=2)
    paper = np.array((0.94, 0.90, 0.80), np.float32) + 0.010 * grain[..., None]
    print_ = lay(paper.astype(np.float32), (0.09, 0.085, 0.10), ink * np.clip(0.95 + 0.05 * grain, 0, 1))
    return to_image(print_)


def embroidery(size: int) -> Image.Image:
    """Satin stitches of shiny thread on linen, each shape sewn in its own direction."""
    rng = np.random.default_rng(131)
    scene = of.valley(size, rng, wobble=0.7)
    x, y = coordinates(size)
    weave = 0.5 + 0.5 * np.maximum(np.sin(x * 2 * np.pi * 95), np.sin(y * 2 * np.pi * 95))
    linen = np.array((0.80, 0.74, 0.62), np.float32) * (0.78 + 0.22 * weave[..., None])
    angle = np.array((0.10, 0.80, 0.0, 1.05, -0.55, 0.22, -0.12, 0.9, 1.5, 1.45, -0.9), np.float32)[
        scene.labels
    ]
    angle = angle + 0.35 * scene.angle * (scene.away == 0)
    pitch, length = np.float32(0.0085), np.float32(0.055)
    across = -x * np.sin(angle) + y * np.cos(angle) + 0.002 * noise(size, rng, scale=12, octaves=2)
    along = x * np.cos(angle) + y * np.sin(angle)
    row = np.floor(across / pitch)
    shift = np.sin(row * 12.9898 + scene.labels * 7.7) * 43758.5453 % 1.0
    place = along / length + shift
    stitch = np.floor(place)
    chance = np.sin(row * 39.346 + stitch * 11.135 + scene.labels) * 24634.6345 % 1.0
    round_ = np.sqrt(np.clip(1 - (np.abs((across / pitch) % 1 - 0.5) * 2) ** 2, 0, 1))
    ends = np.clip(1 - (np.abs(place % 1 - 0.5) * 2) ** 10, 0, 1)
    threads = scene.coloured(of.DAY)
    threads = np.clip(
        threads.mean(-1, keepdims=True) + (threads - threads.mean(-1, keepdims=True)) * 1.5, 0.03, 1
    )
    threads = threads * (0.74 + 0.42 * scene.light + 0.20 * (chance - 0.5))[..., None]
    twist = 0.5 + 0.5 * np.sin((along / pitch * 1.4 + across / pitch * 2.0) * 2 * np.pi)
    sheen = round_**3 * (0.10 + 0.22 * np.clip(np.sin(place * np.pi * 1.0), 0, 1) ** 4)
    sewn = (
        threads * ((0.34 + 0.66 * round_) * (0.62 + 0.38 * ends) * (0.90 + 0.10 * twist))[..., None]
        + sheen[..., None]
    )
    bare = (scene.labels == of.CLOUD) | of.edges(scene.labels, max(1, size // 400))
    canvas = lay(sewn.astype(np.float32), linen.astype(np.float32), bare.astype(np.float32) * 0.9)
    return to_image(canvas)


def mosaic(size: int) -> Image.Image:
    """Square stones of few colours, set a little unevenly, with pale joints."""
    rng = np.random.default_rng(137)
    scene = of.valley(size, rng, wobble=0.4)
    x, y = coordinates(size)
    count = 42
    columns, rows = (np.clip((v * count).astype(np.int64), 0, count - 1) for v in (x, y))
    middle = np.clip(((np.arange(count) + 0.5) / count * size).astype(np.int64), 0, size - 1)
    colours = (scene.coloured(of.EVENING) * (0.60 + 0.55 * scene.light[..., None]))[np.ix_(middle, middle)]
    colours += rng.normal(0, 0.055, (count, count, 1)) + rng.normal(0, 0.02, (count, count, 3))
    colours = np.round(np.clip(colours, 0, 1) * 7) / 7
    lean = rng.normal(0, 0.045, (2, count, count)).astype(np.float32)
    u, v = (x * count) % 1 - 0.5 + lean[0][rows, columns], (y * count) % 1 - 0.5 + lean[1][rows, columns]
    sides = rng.uniform(0.40, 0.47, (count, count)).astype(np.float32)[rows, columns]
    inside = np.maximum(np.abs(u), np.abs(v)) - sides
    cover = smoothstep(0.5, -0.5, inside * np.float32(size / count))
    bevel = smoothstep(-0.10, 0.0, inside) * np.where(np.abs(u) > np.abs(v), -np.sign(u), -np.sign(v))
    stone = 0.05 * noise(size, rng, scale=90, octaves=3)
    tiles = colours[rows, columns] * (1 + 0.20 * bevel + stone)[..., None] + 0.05 * (0.4 - u - v)[..., None]
    joint = np.array((0.80, 0.76, 0.68), np.float32) * (
        0.92 + 0.05 * noise(size, rng, scale=120, octaves=2)[..., None]
    )
    return to_image(lay(joint.astype(np.float32), tiles.astype(np.float32), cover))


def marbling(size: int) -> Image.Image:
    """Inks that float on water, drawn through with combs and laid on paper."""
    rng = np.random.default_rng(139)
    x, y = coordinates(size)
    drift = 0.012 * noise(size, rng, scale=5, octaves=3)
    u, v = x + drift, y + drift[::-1]
    # Combs, one after the other: each tine drags the ink along with it.
    for turn, spacing, pull in ((0.0, 0.125, 0.055), (1.57, 0.092, 0.050), (0.0, 0.058, 0.040)):
        across = -u * np.sin(turn) + v * np.cos(turn)
        row = np.floor(across / spacing)
        way = np.where(row % 2 == 0, 1.0, -1.0)
        near = np.abs((across / spacing) % 1 - 0.5) * 2 * spacing
        drag = pull * way / (1 + (near / 0.018) ** 1.5)
        u, v = u + drag * np.cos(turn), v + drag * np.sin(turn)
    drops = rng.random((70, 2))
    nearest = np.full((size, size), 9.0, np.float32)
    owner = np.zeros((size, size), np.int64)
    for number, (cx, cy) in enumerate(drops):
        away = np.hypot(u - cx, v - cy).astype(np.float32)
        closer = away < nearest
        nearest, owner = np.where(closer, away, nearest), np.where(closer, number, owner)
    rings = nearest * 46 + 1.7 * owner
    inks = np.array(
        ((0.09, 0.13, 0.30), (0.88, 0.84, 0.74), (0.66, 0.14, 0.16), (0.93, 0.72, 0.26), (0.12, 0.42, 0.46)),
        np.float32,
    )
    step = np.floor(rings).astype(np.int64)
    canvas = inks[(step * 7 + owner) % len(inks)]
    vein = smoothstep(0.16, 0.04, np.minimum(rings % 1, 1 - rings % 1))
    canvas = lay(canvas, (0.96, 0.93, 0.86), 0.75 * vein)
    specks = smoothstep(1.9, 2.2, noise(size, rng, scale=70, octaves=2))
    canvas = lay(canvas, (0.95, 0.92, 0.84), 0.8 * specks)
    return to_image(canvas * (1 + 0.03 * noise(size, rng, scale=40, octaves=4)[..., None]))


def neon(size: int) -> Image.Image:
    """Glowing tubes in a wet street at night: pink, cyan and amber, and what they light."""
    rng = np.random.default_rng(149)
    x, y = coordinates(size)
    horizon = 0.66
    brick = np.where((np.floor(y * 34) % 2) > 0, 0.5, 0.0) + x * 13
    joints = np.maximum(smoothstep(0.10, 0.02, (y * 34) % 1), smoothstep(0.06, 0.01, brick % 1))
    wall = (0.060 + 0.014 * noise(size, rng, scale=60, octaves=3)) * (1 - 0.5 * joints)
    street = 0.03 + 0.010 * noise(size, rng, scale=50, octaves=3, stretch=(4.0, 1.0))
    ground = np.where(y < horizon, wall, street)
    surface = np.stack([ground, 0.85 * ground, 1.5 * ground], -1).astype(np.float32)
    glow = np.zeros((size, size, 3), np.float32)
    core = np.zeros((size, size, 3), np.float32)
    for colour, lines in _TUBES:
        tube = Image.new("L", (size * 2, size * 2))
        draw = ImageDraw.Draw(tube)
        for points in lines:
            draw.line(
                [(px * size * 2, py * size * 2) for px, py in points],
                255,
                max(2, round(size * 0.018)),
                "curve",
            )
        drawn: Field = np.asarray(
            tube.resize((size, size), Image.Resampling.LANCZOS), np.float32
        ) / np.float32(255)
        tint = np.array(colour, np.float32)
        middle = smoothstep(0.35, 1.0, blur(drawn, size / 260))
        core += drawn[..., None] * tint + 0.9 * middle[..., None]
        for radius, share in ((0.010, 0.85), (0.035, 0.75), (0.10, 0.8)):
            glow += share * blur(drawn, radius * size)[..., None] * tint
    lit = surface * (1 + 22 * glow) + 0.34 * glow + np.minimum(core, 1.2)
    mirror = np.clip((2 * horizon - y) * size, 0, size - 1).astype(np.int64)
    ripple = (
        0.030 * noise(size, rng, scale=36, octaves=3, stretch=(5.0, 1.0)) * (y - horizon) * 6 * size
    ).astype(np.int64)
    columns = np.clip(np.arange(size)[None] + ripple, 0, size - 1)
    wet = lit[mirror, columns] * (0.62 * smoothstep(1.15, horizon, y))[..., None] + surface * (1 + 8 * glow)
    canvas = np.where((y < horizon)[..., None], lit, wet)
    return to_image(1 - np.exp(-1.35 * canvas))


def _arc(
    cx: float, cy: float, radius: float, begin: float, end: float, squash: float = 1.0
) -> list[tuple[float, float]]:
    return [
        (cx + radius * float(np.cos(a)), cy + squash * radius * float(np.sin(a)))
        for a in np.linspace(begin, end, 60)
    ]


_TUBES: tuple[tuple[Colour, list[list[tuple[float, float]]]], ...] = (
    (
        (1.0, 0.10, 0.55),
        [_arc(0.27, 0.27, 0.17, 0, 6.3), [(0.08, 0.52), (0.46, 0.52)], _arc(0.27, 0.27, 0.10, 0.4, 3.6)],
    ),
    (
        (0.05, 0.75, 1.0),
        [
            [(0.56, 0.12), (0.92, 0.12), (0.92, 0.40), (0.56, 0.40), (0.56, 0.12)],
            [(0.62, 0.34), (0.68, 0.18), (0.74, 0.34), (0.80, 0.18), (0.86, 0.34)],
        ],
    ),
    (
        (1.0, 0.62, 0.10),
        [[(0.14, 0.27), (0.40, 0.27)], [(0.52, 0.58), (0.94, 0.58)], _arc(0.73, 0.58, 0.10, 3.14, 6.28)],
    ),
    ((0.30, 1.0, 0.45), [[(0.27, 0.14), (0.27, 0.40)], _arc(0.51, 0.46, 0.05, 0, 6.3)]),
)


def blueprint(size: int) -> Image.Image:
    """White lines on Prussian blue: a house in elevation and plan, wheels, measures and a grid."""
    rng = np.random.default_rng(151)
    stain = noise(size, rng, scale=3, octaves=6, gain=0.6)
    ground = palette(
        [(0.0, (0.03, 0.12, 0.32)), (0.5, (0.06, 0.22, 0.48)), (1.0, (0.14, 0.34, 0.60))], 0.5 + 0.16 * stain
    )
    big = size * 2
    faint, firm = Image.new("L", (big, big)), Image.new("L", (big, big))
    for number in range(1, 32):
        step = number * big // 32
        shade, wide = (120, 2) if number % 4 == 0 else (60, 1)
        for line in ([(step, 0), (step, big)], [(0, step), (big, step)]):
            ImageDraw.Draw(faint).line(line, shade, max(1, wide * size // 512))
    draw = ImageDraw.Draw(firm)
    thick, thin = max(2, big // 230), max(1, big // 460)

    def lines(points: list[tuple[float, float]], width: int = thick) -> None:
        draw.line([(px * big, py * big) for px, py in points], 255, width, "curve")

    def box(left: float, top: float, right: float, bottom: float, width: int = thick) -> None:
        lines([(left, top), (right, top), (right, bottom), (left, bottom), (left, top)], width)

    box(0.08, 0.24, 0.44, 0.46)
    lines([(0.05, 0.25), (0.26, 0.08), (0.47, 0.25)])
    for left in (0.12, 0.33):
        box(left, 0.29, left + 0.07, 0.38)
        lines([(left + 0.035, 0.29), (left + 0.035, 0.38)], thin)
    box(0.235, 0.33, 0.285, 0.46)
    for number in range(9):
        lines([(0.09 + 0.04 * number, 0.215), (0.07 + 0.04 * number, 0.245)], thin)
    lines([(0.08, 0.51), (0.44, 0.51)], thin)
    for at in (0.08, 0.235, 0.285, 0.44):
        lines([(at - 0.008, 0.518), (at + 0.008, 0.502)], thin)
        lines([(at, 0.49), (at, 0.525)], thin)
    for cx, cy, radius, teeth in ((0.70, 0.26, 0.17, 24), (0.86, 0.47, 0.075, 12)):
        turns = np.linspace(0, 2 * np.pi, teeth * 8 + 1)
        rim = radius * (1 + 0.09 * np.sign(np.sin(turns * teeth)))
        lines(
            [(cx + float(r * np.cos(t)), cy + float(r * np.sin(t))) for r, t in zip(rim, turns, strict=True)]
        )
        for share in (0.78, 0.30, 0.14):
            lines(_arc(cx, cy, radius * share, 0, 6.3), thin if share == 0.78 else thick)
        for turn in np.arange(6) * np.pi / 3:
            ends = [
                (cx + s * radius * float(np.cos(turn)), cy + s * radius * float(np.sin(turn)))
                for s in (0.3, 0.78)
            ]
            lines(ends, thin)
        lines([(cx - 1.3 * radius, cy), (cx + 1.3 * radius, cy)], thin)
        lines([(cx, cy - 1.3 * radius), (cx, cy + 1.3 * radius)], thin)
    box(0.08, 0.60, 0.60, 0.93)
    box(0.095, 0.615, 0.585, 0.915, thin)
    lines([(0.30, 0.60), (0.30, 0.80)])
    lines([(0.30, 0.84), (0.30, 0.93)])
    lines([(0.30, 0.72), (0.48, 0.72)])
    lines(_arc(0.30, 0.84, 0.05, -1.57, 0.0), thin)
    for number in range(8):
        lines([(0.50 + 0.011 * number, 0.72), (0.50 + 0.011 * number, 0.80)], thin)
    for number in range(14):
        lines([(0.10 + 0.014 * number, 0.63), (0.085 + 0.014 * number + 0.02, 0.70)], thin)
    box(0.68, 0.64, 0.95, 0.93)
    for number in range(6):
        lines(
            [(0.70, 0.68 + 0.04 * number), (0.70 + 0.02 + 0.2 * float(rng.random()), 0.68 + 0.04 * number)],
            thin,
        )
    chalk = 0.85 + 0.15 * noise(size, rng, scale=120, octaves=2)
    firmly, grid = (
        np.asarray(
            one.filter(ImageFilter.GaussianBlur(size / 1024)).resize((size, size), Image.Resampling.LANCZOS),
            np.float32,
        )
        / 255
        for one in (firm, faint)
    )
    canvas = lay(ground, (0.55, 0.72, 0.90), np.clip(0.8 * grid * chalk, 0, 1))
    canvas = lay(canvas, (0.93, 0.97, 1.0), np.clip(1.25 * firmly * chalk, 0, 1))
    x, y = coordinates(size)
    for fold in (np.abs(x - 0.52), np.abs(y - 0.555)):
        canvas = (
            canvas
            * (1 + 0.10 * smoothstep(0.012, 0.0, fold) - 0.05 * smoothstep(0.05, 0.01, fold))[..., None]
        )
    return to_image(canvas + 0.010 * noise(size, rng, scale=100, octaves=2)[..., None])
