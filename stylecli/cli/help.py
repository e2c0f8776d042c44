"""Help pages: options in groups of one purpose, and an example at the end of each page.

In plain text on purpose: to draw boxes takes a library that takes longer to load than all the rest of a help page.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from typing import Any

_GROUPS = {
    "Style": "--style --styles --prompt --text --blend --style-at --backbone --refine --polish --features "
    "--strength --stroke-size --preserve-color --colour-only --takes --phrases --temporal --seed --model",
    "Where to paint": "--mask --invert-mask --feather --faces --region",
    "Result": "--output --format --quality --max-size --columns --codec --crf --preset --pix-fmt --hdr "
    "--fps --overwrite --resume --open --dry-run --preview",
    "Inputs": "--recursive --watch --shard --max-pixels --start --end --max-frames",
    "Speed and memory": "--device --dtype --jobs --cluster --tile --memory-limit --threads --workers --offline",
    "Messages": "--json --markdown --html --quiet --verbose --help",
}
_GROUP_OF = {option: group for group, options in _GROUPS.items() for option in options.split()}
_OTHERS = "Options"
_LEAST = 8  # options: a shorter page needs no groups, and one with options of its own gets none

EXAMPLES = {
    "": [
        "stylize demo",
        "stylize image photo.jpg --style @woodblock",
        'stylize text photo.jpg "Paul Gauguin style"',
    ],
    "bench": ["stylize bench speed"],
    "kernels": ["stylize kernels status"],
    "export": ["stylize export onnx -o onnx/"],
    "export onnx": ["stylize export onnx --size 768x512 -o onnx/"],
    "styles": ["stylize styles --sheet styles.png"],
    "train": ["stylize train stylerwkv --data pictures/"],
    "weights": ["stylize weights list"],
    "image": [
        "stylize image photo.jpg --style starry.jpg",
        "stylize image photo.jpg --style @woodblock",
        "stylize image photo.jpg --style starry.jpg --polish 60",
        "stylize image photos/ -r -s starry.jpg -s wave.jpg -o painted/",
        "stylize image photo.jpg --region sky.png:starry.jpg --region rest:wave.jpg",
    ],
    "text": [
        'stylize text photo.jpg "Paul Gauguin style"',
        'stylize text photos/ -p "ukiyo-e" -p "charcoal" -o painted/',
    ],
    "video": [
        "stylize video clip.mp4 --style starry.jpg --preview",
        "stylize video clip.mp4 --style starry.jpg --strength 0.8",
    ],
    "sheet": ["stylize sheet photo.jpg --styles styles/", "stylize sheet photo.jpg --styles @all"],
    "styles add": ["stylize styles add bark bark.jpg"],
    "styles remove": ["stylize styles remove bark"],
    "app": ["stylize app --open"],
    "demo": ["stylize demo -o try-it/"],
    "manual": ["stylize manual"],
    "doctor": ["stylize doctor"],
    "kernels status": ["stylize kernels status"],
    "kernels build": ["stylize kernels build --force"],
    "kernels clean": ["stylize kernels clean"],
    "kernels test": ["stylize kernels test"],
    "weights list": ["stylize weights list"],
    "weights fetch": ["stylize weights fetch vgg16"],
    "weights verify": ["stylize weights verify"],
    "weights path": ["stylize weights path stylerwkv-s"],
    "weights remove": ["stylize weights remove vgg16"],
    "weights export": ["stylize weights export stick/"],
    "weights import": ["stylize weights import stick/"],
    "bench speed": ["stylize bench speed --size 512 --size 1024"],
    "bench quality": ["stylize bench quality --photographs photos/ --styles styles/"],
    "bench kernels": ["stylize bench kernels"],
    "bench text": ["stylize bench text --data artworks/ --photographs photos/"],
    "bench convergence": ["stylize bench convergence --photographs photos/ -o convergence.png"],
    "bench scale": ["stylize bench scale --megapixels 1,4,16 -o scale.png"],
    "bench video": ["stylize bench video clip.mp4 --style starry.jpg"],
    "bench all": ["stylize bench all --photographs photos/ --styles styles/ --html bench.html"],
    "train recipe": ["stylize train recipe stylerwkv --data pictures/ --out runs/first"],
    "train average": ["stylize train average a.safetensors:0.65 b.safetensors:0.35 -o c.safetensors"],
}


def dress(command: Any, path: str = "") -> Any:
    """``command`` (Typer's) and all below it with groups and examples in their help; returns it."""
    for name, below in getattr(command, "commands", {}).items():
        dress(below, f"{path} {name}".strip())
    if hasattr(command, "commands"):
        command.format_commands = partial(_format_commands, command)
        command.format_epilog = partial(_format_examples, EXAMPLES.get(path, ()))
    else:
        command.format_options = partial(_format_options, command)
        command.collect_usage_pieces = partial(_usage, command.collect_usage_pieces)
        command.format_epilog = partial(_format_examples, EXAMPLES.get(path, ()))
    return command


def plain(metavar: str) -> str:
    """What to type, without what Typer says about its type: INPUT... for {INPUT...}... and for INPUT... <list[str]>."""
    return re.sub(r"\{(.*)\}(\.\.\.)?", r"\1", re.sub(r" <[^>]*>", "", metavar))


def _usage(pieces: Callable[[Any], list[str]], context: Any) -> list[str]:
    return [plain(piece) for piece in pieces(context)]


def _format_commands(group: Any, context: Any, formatter: Any) -> None:
    """First sentences whole: Click cuts them where a line ends."""
    rows = [(name, group.commands[name].get_short_help_str(1000)) for name in group.list_commands(context)]
    with formatter.section("Commands"):
        formatter.write_dl(rows)


def _format_options(command: Any, context: Any, formatter: Any) -> None:
    arguments: list[tuple[str, str]] = []
    groups: dict[str, list[tuple[str, str]]] = {name: [] for name in ("", *_GROUPS, _OTHERS)}
    for parameter in command.get_params(context):
        record = parameter.get_help_record(context)
        if record is None:
            continue
        if parameter.param_type_name == "argument":
            arguments.append((plain(record[0]), record[1]))
        else:
            known = [_GROUP_OF[option] for option in parameter.opts if option in _GROUP_OF]
            groups[known[0] if known else _OTHERS].append(record)
    if groups[_OTHERS] or sum(map(len, groups.values())) < _LEAST:
        groups = {_OTHERS: [record for records in groups.values() for record in records]}
    for name, records in {"Arguments": arguments, **groups}.items():
        if records:
            with formatter.section(name):
                formatter.write_dl(records)


def _format_examples(examples: Any, context: Any, formatter: Any) -> None:
    if examples:
        with formatter.section("Examples" if len(examples) > 1 else "Example"):
            for line in examples:  # as they are: a wrapped command line cannot be copied
                formatter.write(f"{'':>{formatter.current_indent}}{line}\n")
