"""Phrases for the distillation of the text tower, and captions for the training of the image tower.

Phrases are drawn from a small grammar: ``{name}`` stands for one of the alternatives of that name, chosen at random.
Names, media and captions of the training pictures join the lists; the whole words of the teacher's vocabulary, alone
and in pairs, give breadth, so that a prompt that occurs in no caption still lands near where the teacher puts it.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from stylecli.errors import InputError
from stylecli.ops.luma import luma

PHOTOGRAPHS = (
    "a photo",
    "a photograph",
    "a natural photograph",
    "a colour photo",
    "photo",
    "a realistic photo",
)

# Alternatives are separated by bars; a name may appear several times to be drawn more often. {-name} leaves out the
# article: "misty {-place}" gives "misty harbour".
_GRAMMAR = {
    "prompt": "{style}|{style}|{style}|{picture}|{picture}|{scene}|{scene}, {style}|{style}, {palette}|{thing}|"
    "{picture}, {style}|{mix}|{palette}|{look}|{mood} {picture}|{surface}|{scene} at {time}",
    "style": "in the style of {artist}|{artist} style|{artist} painting|a painting by {artist}|{artist}|"
    "painted by {artist}|painted like {artist}|as if {artist} had painted it|a {artist} {medium}|{artist} look|"
    "{artist} art|{artist} {movement}|{movement}|{movement} style|{movement} painting|a {movement} {medium}|"
    "in the style of {movement}|as a {medium}|{medium}|{medium} style|a {medium}|{mood} {medium}|{palette} {medium}|"
    "{medium} look|drawn as {medium}|{medium} on {ground}|{material}|{material} texture|made of {material}|"
    "{material} style|turned into {material}|{surface}|{age} {medium}|{age} {style}|{maker}'s {medium}",
    "picture": "{medium} of {thing}|a {medium} of {scene}|a {movement} painting of {scene}|{artist} {-thing}|"
    "{thing} by {artist}|a picture of {thing} in {palette}|{mood} {medium} of {thing}|{scene} painted in {palette}|"
    "{artist} painting of {scene}|{thing} made of {material}|{maker}'s {medium} of {thing}",
    "mix": "{artist} and {artist}|{artist} meets {artist}|a mix of {style} and {style}|{movement} with {material}|"
    "half {movement}, half {movement}|{artist} with {palette}|more like {artist} than {artist}|{style} but {mood}|"
    "{movement} and {mood}|like {artist}, but with {material}",
    "scene": "{thing}|{thing} in {place}|{mood} {-thing}|{place}|{mood} {-place}|{place} at {time}|"
    "{thing} at {time}|{colour} {-thing}|{place} in {weather}|{weather} over {place}|{thing} and {thing}|"
    "{adjective} {-thing}",
    "palette": "{colour} and {colour}|{tone} colours|{tone} {colour}|{colour}|{tone} {colour} and {colour}|"
    "{colour}, {colour} and {colour}|{tone} and {tone}|in {colour}|{tone} tones|shades of {colour}",
    "look": "{mood} look|{mood} mood|{adjective} and {adjective}|{tone} light|{stroke}|{stroke} and {stroke}|"
    "{stroke} in {palette}|{mood} atmosphere|very {mood}|{adjective} {material}|{mood} and {mood}|with {stroke}",
    "surface": "{adjective} {material}|{colour} {material}|{material} and {material}|{material} pattern|"
    "a wall of {material}|close-up of {material}|{adjective} {surface0}|{surface0}|{colour} {surface0}",
    "surface0": "texture|surface|pattern|stripes|dots|spots|waves|spirals|scales|grid|mosaic|tiles|cracks|bubbles|"
    "threads|swirls|blobs|ribbons|lines|hatching|triangles|circles|squares|ornament|stains|splatter|noise|glow",
    "medium": "oil painting|painting|watercolour|watercolor|gouache|acrylic painting|fresco|tempera|pastel drawing|"
    "soft pastel|oil pastel|crayon drawing|chalk drawing|charcoal drawing|charcoal|pencil sketch|pencil drawing|"
    "line sketch|line art|ink wash|ink drawing|pen and ink|coloured pencil drawing|felt-tip drawing|sketch|doodle|"
    "woodblock print|woodcut|linocut|etching|engraving|lithograph|screen print|silkscreen|poster|collage|"
    "paper cut-out|origami|mosaic|stained glass|tapestry|embroidery|patchwork quilt|batik|graffiti|mural|street art|"
    "cartoon|comic book|comic strip|manga|anime|cel shading|pixel art|8-bit video game|vector art|digital painting|"
    "digital art|concept art|3d render|low poly|claymation|illustration|book illustration|children's drawing|"
    "finger painting|cave painting|scroll painting|miniature|icon|illuminated manuscript|portrait|"
    "landscape painting|still life|photograph|photo|old photograph|polaroid|daguerreotype|film still|blueprint|"
    "technical drawing|map|tattoo|stencil|postage stamp|album cover|sculpture|relief|porcelain|vase|airbrush|"
    "spray paint|impasto|palette knife painting|encaustic|sand art|glitch art|neon art|ascii art",
    "movement": "impressionism|impressionist|post-impressionism|expressionism|expressionist|abstract expressionism|"
    "cubism|cubist|pointillism|pointillist|fauvism|fauvist|surrealism|surreal|surrealist|dada|futurism|"
    "constructivism|suprematism|de stijl|bauhaus|art nouveau|art deco|pop art|op art|minimalism|minimalist|"
    "naive art|folk art|outsider art|primitivism|romanticism|realism|photorealism|hyperrealism|symbolism|baroque|"
    "rococo|renaissance|high renaissance|northern renaissance|mannerism|gothic|medieval|byzantine|neoclassicism|"
    "academic art|pre-raphaelite|dutch golden age|hudson river school|ukiyo-e|japanese|chinese|persian|indian|"
    "african|egyptian|aztec|celtic|aboriginal|islamic|mexican muralism|socialist realism|abstract|abstract art|"
    "modern art|contemporary art|psychedelic|vaporwave|cyberpunk|steampunk|synthwave|retro|vintage|graffiti|kitsch|"
    "brutalism|color field|action painting|tonalism|russian revivalism|tachisme",
    "material": "rock|stone|marble|granite|slate|concrete|brick|brick wall|cobblestone|gravel|pebbles|sand|mud|clay|"
    "cracked mud|wood|wood grain|bark|tree bark|driftwood|bamboo|cork|straw|wicker|basket weave|woven carpet|wool|"
    "felt|knitting|crochet lace|lace|silk|velvet|denim|linen|leather|fur|feathers|snakeskin|zebra stripes|tiger fur|"
    "glass|cracked glass|broken glass|stained glass|crystal|crystals|diamond|ice|snow|frost|water|ripples|foam|"
    "bubbles|oil slick|smoke|colourful smoke|fog|clouds|fire|flames|lava|lightning|electricity|gold|gold leaf|"
    "silver|copper|bronze|iron|steel|chrome|liquid metal|rust|rusty metal|metal plate|mosaic tiles|ceramic|"
    "porcelain|plaster|stucco|paper|crumpled paper|newspaper|cardboard|parchment|marbled paper|wax|plastic|rubber|"
    "slime|moss|lichen|grass|leaves|flowers|petals|roots|coral|shells|scales|bones|honeycomb|chocolate|candy|bread|"
    "jelly|circuit board|neon lights|pixels|wires|nebula|stars|galaxy|fractals|mandala|camouflage|cobwebs|neurons|"
    "thread|confetti|sequins|stickers|buttons|lego bricks|paint splatter|thick paint",
    "colour": "red|dark red|crimson|scarlet|pink|rose|magenta|purple|violet|lilac|indigo|blue|dark blue|navy|"
    "light blue|sky blue|cobalt|turquoise|teal|cyan|mint|green|dark green|emerald|olive|lime|yellow|lemon|ochre|"
    "gold|amber|orange|peach|coral|brown|sienna|umber|beige|cream|tan|white|ivory|grey|gray|silver|charcoal|black|"
    "black and white|sepia",
    "tone": "soft|pastel|bright|vivid|neon|dark|deep|pale|faded|muted|earthy|warm|cold|cool|rich|dull|acid|"
    "monochrome|high-contrast|low-contrast|saturated|washed-out|golden|autumn|spring|rainbow|complementary",
    "mood": "calm|peaceful|quiet|serene|gentle|dreamy|romantic|nostalgic|melancholy|melancholic|sad|lonely|gloomy|"
    "sombre|mysterious|eerie|spooky|creepy|haunted|dark|sinister|violent|angry|dramatic|stormy|wild|chaotic|"
    "energetic|lively|joyful|happy|cheerful|playful|funny|childish|naive|festive|magical|fantastic|whimsical|epic|"
    "heroic|majestic|elegant|delicate|sensual|cozy|warm|cold|bleak|dystopian|futuristic|cosmic|surreal|psychedelic|"
    "ghostly|gothic|solemn|mystical|tropical|rustic|wintry|summery|misty|hazy",
    "adjective": "old|new|rusty|broken|cracked|worn|weathered|dusty|dirty|clean|smooth|rough|shiny|glossy|matte|"
    "soft|hard|wet|dry|frozen|burning|melting|glowing|transparent|thick|thin|fine|coarse|bold|simple|detailed|"
    "ornate|geometric|organic|round|angular|jagged|wavy|twisted|woven|knitted|folded|torn|scratched|peeling|tiny|"
    "huge|flat|blurred|sharp|grainy|patterned|striped|dotted|checkered|spotted|marbled|layered|tangled|faded|"
    "abandoned|ancient|modern|oriental|exotic|handmade|cheap|precious|noisy|fluffy|hairy|spiky|sticky|fiery|icy",
    "age": "ancient|medieval|16th century|17th century|18th century|19th century|early 20th century|1920s|1950s|"
    "1960s|1970s|1980s|1990s|old|old-fashioned|antique|modern|contemporary|victorian|prehistoric|classical|"
    "futuristic",
    "maker": "a child|a kid|children|a beginner|an old master|a street artist|a monk|a tattoo artist|a madman|"
    "a robot",
    "ground": "paper|canvas|wood|silk|glass|a wall|old paper|black paper|brown paper|stone|parchment|cardboard",
    "stroke": "thick brush strokes|bold brush strokes|swirling strokes|loose brushwork|fine lines|bold outlines|"
    "black outlines|hatching|cross-hatching|dots of paint|drips of paint|splashes of colour|flat colours|"
    "large flat areas|sharp edges|soft edges|blurred edges|strong shadows|soft light|hard light|chiaroscuro|"
    "halftone dots|geometric shapes|cubes|broken shapes|curved lines|straight lines|scribbles|smudges|grain",
    "time": "night|dawn|sunrise|morning|noon|dusk|sunset|twilight|midnight|the golden hour|the blue hour|moonlight|"
    "the end of summer|christmas|winter|autumn|spring|summer|daybreak",
    "weather": "rain|heavy rain|snow|fog|mist|a storm|a thunderstorm|sunshine|wind|a blizzard|clouds|haze|moonlight",
    "place": "the city|a city street|a village|a harbour|the sea|a stormy sea|the beach|a lake|a river|a waterfall|"
    "mountains|a valley|the desert|a forest|a jungle|a meadow|a field|a wheat field|a garden|a park|a swamp|"
    "an island|a cathedral|a church|a castle|ruins|a temple|a bridge|a railway station|a factory|a cafe|a bar|"
    "a kitchen|a bedroom|a library|a studio|a market|a theatre|outer space|a starry sky|the sky|the underworld|"
    "under water|paris|venice|new york|tokyo|london|provence|the countryside|the alps|the arctic|a cave|a street|"
    "a cemetery",
    "thing": "a man|a woman|a girl|a boy|a child|a crowd|dancers|a portrait|a face|a nude|hands|a king|a saint|"
    "an angel|a devil|a skeleton|a ghost|a robot|a machine|a knight|a sailor|a peasant|a dragon|a unicorn|a monster|"
    "a cat|a dog|a horse|horses|a cow|a bird|birds|an owl|a fish|a whale|an elephant|a lion|a tiger|a fox|a wolf|"
    "a bear|a rabbit|a butterfly|insects|a snake|a tree|trees|flowers|sunflowers|roses|water lilies|irises|fruit|"
    "apples|lemons|a vase|a bowl of fruit|bread|wine bottles|a table|a chair|a violin|a guitar|a book|a clock|"
    "a lamp|a candle|a car|a train|a ship|boats|a bicycle|an airplane|a house|a tower|a windmill|a skyscraper|"
    "a door|a window|a staircase|clouds|waves|the moon|the sun|stars|a rainbow|a mountain|rocks|{word}|a {word}|"
    "{word} and {word}|{adjective} {word}",
    "artist": "{known}|{known}|banksy|hieronymus bosch|h. r. giger|studio ghibli|hayao miyazaki|walt disney|pixar|"
    "tim burton|moebius|herge|norman rockwell|bob ross|thomas kinkade|gustave dore|alphonse mucha|aubrey beardsley|"
    "edward gorey|beatrix potter|quentin blake|dr. seuss|tove jansson|david hockney|francis bacon|lucian freud|"
    "damien hirst|jeff koons|shepard fairey|kaws|yayoi kusama|ai weiwei|zao wou-ki|qi baishi|frank frazetta|"
    "zdzislaw beksinski|giorgio de chirico|paul delvaux|leonora carrington|remedios varo|tamara de lempicka|"
    "piranesi|botticelli|giotto|fra angelico|tintoretto|jacob van ruisdael|artemisia gentileschi|rosa bonheur|"
    "gwen john|paula rego|hilma af klint|emily carr|tom thomson|fernando amorsolo|raja ravi varma|jamini roy|"
    "utamaro|sharaku|the simpsons",
}

COLOURS = {
    "red": (200, 40, 40),
    "pink": (235, 150, 175),
    "purple": (120, 60, 150),
    "blue": (45, 80, 175),
    "light blue": (150, 195, 230),
    "turquoise": (60, 175, 175),
    "green": (60, 130, 60),
    "olive": (115, 115, 55),
    "yellow": (235, 210, 70),
    "orange": (230, 130, 40),
    "brown": (110, 70, 40),
    "beige": (215, 195, 160),
    "white": (240, 240, 238),
    "grey": (135, 135, 135),
    "black": (25, 25, 25),
}


@dataclass(frozen=True)
class Labels:
    """What the manifest says of one picture; empty where it says nothing."""

    file: str
    kind: str
    artist: str
    movement: str
    medium: str
    title: str
    caption: str

    def captions(self) -> list[str]:
        """Ways to say what the picture looks like, from the particular to the general."""
        artist, movement, medium = self.artist, self.movement, self.medium
        if self.kind == "content":
            return [self.caption, *PHOTOGRAPHS]
        ways: list[str] = []
        if artist:
            ways += [
                self.caption,
                f"{artist} style",
                f"a painting by {artist}",
                f"in the style of {artist}",
                artist,
            ]
        if movement:
            ways += [movement, f"{movement} painting", f"{movement} style"]
        if medium:
            ways += [medium, f"{medium} style", f"a {medium}"]
        if medium and self.kind == "texture":
            ways += [self.caption, f"{medium} texture", f"made of {medium}"]
        return list(dict.fromkeys(w.lower() for w in ways or [self.caption] if w))


def read_manifest(folder: Path) -> list[Labels]:
    """``manifest.csv`` of a folder of training pictures: columns file, kind (content, style or texture), artist,
    movement, medium, title and caption. Names that are not plain letters (a broken encoding) are left out.

    Raises InputError, one line, where there is no such file or a column is missing.
    """
    path = folder / "manifest.csv"
    columns = ("file", "kind", "artist", "movement", "medium", "title", "caption")
    try:
        with path.open(newline="", encoding="utf-8") as stream:
            rows = [[row[c] for c in columns] for row in csv.DictReader(stream)]
    except (OSError, UnicodeError) as error:
        raise InputError(f"{path}: cannot be read ({error})") from None
    except KeyError as error:
        raise InputError(f"{path}: has no column {error}") from None
    if not rows:
        raise InputError(f"{path}: names no picture")
    return [Labels(row[0], row[1], *(text if text.isascii() else "" for text in row[2:])) for row in rows]


def phrases(seed: int, count: int, labels: Iterable[Labels], words: list[str]) -> list[str]:
    """About ``count`` different phrases in lower case, in an order that depends on the seed alone.

    ``words`` come commonest first: a common one is drawn more often, and each appears alone at least once as long as
    that takes no more than a quarter of the phrases.
    """
    rng = np.random.default_rng(seed)
    labels = list(labels)
    rules = {name: text.split("|") for name, text in _GRAMMAR.items()}
    rules["known"] = sorted({a for x in labels if (a := x.artist)}) or ["an unknown artist"]
    for name in ("movement", "medium"):
        rules[name] += sorted({v for x in labels if x.kind == "style" and (v := getattr(x, name))})
    rules["material"] += sorted({x.medium for x in labels if x.kind == "texture" and x.medium})
    rules["word"] = words or ["thing"]
    rarity = 1 / (np.arange(len(rules["word"])) + 2000)
    chosen = iter(rng.choice(rules["word"], 6 * count, p=rarity / rarity.sum()))

    def expand(rule: str) -> str:
        def one(match: re.Match[str]) -> str:
            name = match[2]
            text = next(chosen) if name == "word" else expand(rng.choice(options[name]))
            return re.sub(r"^(a|an|the) ", "", text) if match[1] else str(text)

        return re.sub(r"\{(-?)(\w+)\}", one, rule)

    options = {name: np.array(texts, dtype=object) for name, texts in rules.items()}
    found = ["", *PHOTOGRAPHS]
    for x in labels:
        found += [*x.captions(), x.title]
    found += [text for name in rules for text in rules[name] if "{" not in text and name != "word"]
    found += rules["word"][: count // 4]
    breadth = (
        "{word} {word}",
        "{adjective} {word}",
        "a {word} {word}",
        "{word} style",
        "the {word} of the {word}",
        "{word}",
    )
    unique = dict.fromkeys(text.lower() for text in found)
    for _ in range(2 * count):  # a small grammar may not have that many to say
        if len(unique) >= count:
            break
        unique[expand(rng.choice(breadth) if rng.random() < 0.3 else "{prompt}").lower()] = None
    texts = list(unique)
    return [texts[i] for i in rng.permutation(len(texts))]


def describe(image: Tensor) -> list[str]:
    """Captions computed from a picture (3, H, W) in 0..1: brightness, contrast, saturation, dominant colours."""
    flat = image.flatten(1)
    light = luma(image[None])
    names = list(COLOURS)
    table = flat.new_tensor(list(COLOURS.values())) / 255
    share = torch.bincount(torch.cdist(flat.T, table).argmin(1), minlength=len(names)) / flat.shape[1]
    first, second, third = (names[i] for i in share.topk(3).indices)
    ways = [f"{first} and {second}", f"a picture in {first}, {second} and {third}", f"{first} colours"]
    if share.max() > 0.6:
        ways.append(f"mostly {first}")
    bright, contrast = float(light.mean()), float(light.std())
    saturation = float((flat.amax(0) - flat.amin(0)).mean())
    word = "dark" if bright < 0.3 else "bright" if bright > 0.65 else None
    if word:
        ways += [f"a {word} picture", f"a {word} painting in {first} and {second}"]
    if contrast > 0.28:
        ways.append("strong contrast")
    elif contrast < 0.13:
        ways.append("low contrast, soft tones")
    if saturation > 0.4:
        ways.append("vivid colours")
    elif saturation < 0.06:
        ways += ["black and white", "a monochrome picture"]
    elif saturation < 0.15:
        ways.append("muted colours")
    return ways
