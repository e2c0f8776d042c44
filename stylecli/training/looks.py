"""How pictures look, in numbers: colours, light, contrast, saturation, warmth, lines, roughness; and the words that ask
for it."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from stylecli.ops.luma import luma
from stylecli.training.phrases import COLOURS

MEASURES = ("light", "contrast", "saturation", "warmth", "lines", "rough")
AXES = (*MEASURES, *COLOURS)
"""Names of what :func:`measure` gives."""

# Words, and the looks that they ask for, in spreads over artworks. Names of colours ask for themselves.
_WORDS = """
dark, black, darkness, shadow: light -1.3
night, at night, midnight, nocturne, moonlight, moonlit: light -1.5, blue 0.9, warmth -0.7
starry night, starry, starry sky, stars: light -0.9, blue 1.3, yellow 0.4
bright, light, luminous, sunny, sunshine, daylight: light 1.2, saturation 0.3
golden, gold, golden hour, golden light: yellow 1.2, orange 0.6, warmth 1.4
pale, faded, washed-out, bleached, pastel, pastel colours: light 1.2, contrast -0.8, saturation -0.5
pale blue, light blue, sky blue, baby blue: light blue 1.8, light 0.7
stormy, storm, thunderstorm, tempest: light -0.8, contrast 0.5, saturation -0.6, grey 0.8, warmth -0.6
vivid, colourful, vibrant, bright colours, neon, saturated, rainbow: saturation 1.6
muted, dull, desaturated, earthy, subdued: saturation -0.9
autumn, fall, autumn leaves: orange 1.3, brown 0.6, warmth 1.3
winter, snow, snowy, icy, frozen, frost: white 1.0, light blue 0.9, warmth -1.2, light 0.8, saturation -0.5
spring, blossom, cherry blossom: green 0.5, pink 1.0, light 0.8
summer: light 0.6, saturation 0.6, warmth 0.5
sunset, sunrise, dusk, dawn, twilight: orange 1.2, pink 0.6, warmth 1.2
sea, ocean, water, lake, under water: blue 0.9, turquoise 0.8, warmth -0.9
cotton candy, candy, bubblegum: pink 1.6, light 0.9, light blue 0.6, saturation 0.4
tropical, paradise: green 1.4, saturation 0.8
forest, jungle, meadow, grass, garden, woods: green 1.3
desert, sand, dunes: beige 1.2, warmth 0.8
fire, flames, burning, fiery, lava: red 1.0, orange 1.2, warmth 1.5, saturation 1.0
mist, misty, fog, foggy, haze, hazy, dreamy: contrast -1.2, light 0.5, saturation -0.7
gloomy, sombre, melancholy, sad, sinister, ominous, grim: light -1.0, saturation -0.7
cheerful, happy, joyful, playful, festive, childlike: light 0.7, saturation 1.0
dramatic, high contrast, bold, stark, chiaroscuro, intense: contrast 1.2
soft, delicate, gentle, calm, peaceful, serene, quiet: contrast -0.8, rough -0.6
black and white, monochrome, noir, greyscale, colourless: saturation -2.0
sepia, old photograph, antique, vintage, postcard, nostalgic: saturation -0.8, brown 0.8, beige 0.6, warmth 0.5
lines, outlines, contours, hatching, ink lines, linework: lines 1.3
rough, thick strokes, brush strokes, textured, grainy, coarse: rough 1.2
smooth, polished, blurred, soft edges, clean: rough -1.0
flat, minimal, simple, minimalist, plain: rough -0.9, lines -0.6
warm, warm colours, warm light: warmth 1.3
cold, cool, cold colours, chilly: warmth -1.3, blue 0.4
detailed, intricate, ornate, busy, crowded: lines 0.8, rough 0.5
rain, rainy, drizzle, wet street: grey 0.9, blue 0.5, saturation -0.7, contrast -0.4, light -0.4
hurricane, tornado, shipwreck, rough sea: light -0.8, contrast 0.5, grey 0.8, blue 0.4, warmth -0.7
aurora, aurora borealis, northern lights: light -1.1, green 1.2, turquoise 0.9, saturation 0.9
candlelight, candle, lantern, fireplace, torch: light -1.1, orange 1.0, warmth 1.5, contrast 0.4
bronze, copper, coffee, chocolate, mahogany: brown 1.4, orange 0.4, warmth 1.0, light -0.6
silver, steel, chrome, mercury: grey 1.4, saturation -1.2, contrast 0.6
slime, poison, acid, toxic, radioactive: green 1.5, yellow 0.5, saturation 1.1
blood, murder, vampire, war, revolution, propaganda: red 1.5, light -0.5, contrast 0.7
rose, roses, love, valentine, strawberry: red 0.7, pink 1.2, saturation 0.5
sunflower, sunflowers, lemon, honey, wheat, banana: yellow 1.5, warmth 1.1, saturation 0.7
lavender, violets, lilac, iris: purple 1.5, saturation 0.3
moss, leaf, fern, mint, emerald, jade: green 1.4
burnt, charred, ash, coal, soot, blackboard: light -1.4, saturation -0.8, black 1.2
ghost, ghostly, spirit, dream, heaven, angelic: light 1.0, contrast -0.9, saturation -0.6
apocalypse, doom, hell, demon, inferno: light -0.9, red 1.0, orange 0.7, contrast 0.8
ice, glacier, polar, arctic, iceberg: light blue 1.4, white 0.8, warmth -1.4, light 0.7
sapphire, cobalt, deep blue, midnight blue, ink blue: blue 1.7, warmth -1.2, light -0.5
porcelain, milk, marble statue, ivory, pearl: white 1.2, light 1.1, saturation -0.5
carnival, circus, party, toys, confetti: saturation 1.5, light 0.4, contrast 0.4
smoke, steam, dust, concrete: grey 1.3, saturation -1.0, contrast -0.5
"""


def words() -> dict[str, dict[str, float]]:
    """Words of light and colour, and the looks that each asks for."""
    found: dict[str, dict[str, float]] = {}
    for line in _WORDS.strip().splitlines():
        names, _, wanted = line.partition(": ")
        pairs = [part.rsplit(" ", 1) for part in wanted.split(", ")]
        for name in names.split(", "):
            found[name] = {axis: float(value) for axis, value in pairs}
    for colour in COLOURS:
        found.setdefault(colour, {colour: 1.6})
    return found


def row(looks: dict[str, float]) -> Tensor:
    """(A,) of named looks."""
    return torch.tensor([looks.get(axis, 0.0) for axis in AXES])


def measure(image: Tensor) -> Tensor:
    """A picture (3, H, W) in 0..1, about 200 pixels on a side, to its measures (A,)."""
    light, small = luma(image[None]), F.interpolate(image[None], 64, mode="area")[0].flatten(1)  # (3, 4096)
    across, down = (light.diff(dim=d).abs() for d in (3, 2))
    smooth = F.avg_pool2d(F.pad(light, (1, 1, 1, 1), mode="reflect"), 3, 1)
    found = [
        small.mean(),
        light.std(),
        (small.amax(0) - small.amin(0)).mean(),
        (small[0] - small[2]).mean(),
        ((across > 0.12).float().mean() + (down > 0.12).float().mean()) / 2,
        (light - smooth).std().log(),
    ]
    table = small.new_tensor(list(COLOURS.values())) / 255
    nearest = torch.cdist(small.T, table).argmin(1)
    shares = torch.bincount(nearest, minlength=len(table)) / nearest.numel()
    return torch.cat([torch.stack(found), (shares + 0.01).log()])
