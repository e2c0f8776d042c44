"""What somebody may have meant who is about to read an error: a few words behind it, or nothing."""

from __future__ import annotations

import difflib
import itertools
import re
import shlex
from collections.abc import Iterable, Sequence
from pathlib import Path

from stylecli.run.paths import is_file, is_folder

_FILMS = (
    ".mp4",
    ".m4v",
    ".mov",
    ".mkv",
    ".webm",
    ".avi",
    ".mpg",
    ".mpeg",
    ".ts",
    ".mts",
    ".wmv",
    ".flv",
    ".3gp",
)
_PICTURES = (".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp", ".gif", ".avif", ".heic", ".jp2")
_CODECS = {"h265": "hevc", "x265": "hevc", "h.265": "hevc", "hvc1": "hevc"} | {
    "x264": "h264", "h.264": "h264", "avc": "h264", "mp4": "h264", "av01": "av1", "svt-av1": "av1", "webm": "vp9",
}  # fmt: skip


def hint(arguments: Sequence[str], message: str) -> str:
    """One half-sentence to stand behind ``message``, the error that ``stylize ARGUMENTS`` ended with; often empty."""
    meant = _meant(list(arguments), message)
    return f"; did you mean {meant}?" if meant else ""


def _meant(arguments: list[str], message: str) -> str:
    if match := re.match(r"No such command '(.*)'$", message):
        return _with_command(arguments, match[1])
    if match := re.match(r"No such option: (\S+) \(Possible options: (.*)\)", message):
        return closest(match[1], match[2].split(", "))
    if match := re.match(r"Invalid value for '--codec': .*'(.*?)' is not one of (.*)", message):
        known = re.findall(r"'(.*?)'", match[2])
        return _CODECS.get(match[1].lower(), "") or closest(match[1], known)
    if match := re.match(r"Invalid value for '(-.*?)': .*?'(.*?)' is not one of (.*)", message):
        return closest(match[2], re.findall(r"'(.*?)'", match[3]))
    if match := re.match(r"--(?:style|blend|region).*?(?:'(.*?)'|(\S+)) does not exist", message):
        return _neighbour(Path(match[1] or match[2]))
    if match := re.search(r"no ready style is called @(\S+):", message):
        from stylecli.run.ready import own, shipped

        near = closest(match[1], [*shipped(), *own()])
        return f"@{near}" if near else ""
    if match := re.match(r"no weights are called '(.*?)'; known: (.*?)(?:, or the path|$)", message):
        return closest(match[1], match[2].split(", "))
    if message.startswith("no style given") and arguments[:1] in (["image"], ["video"]):
        return _last_as_style(arguments)
    return ""


_BOUNDS = {
    "valid number": "not a number",
    "valid integer": "not a whole number",
    "less than or equal to ": "more than ",
    "greater than or equal to ": "less than ",
}


def named(arguments: Sequence[str], message: str) -> str:
    """``message`` with the value that it is about, where it only says what that should have been."""
    match = re.match(r"Invalid value for (.*?): Input should be (?:a )?(.*)", message)
    if match is None:
        return message
    said = next(
        (text + match[2][len(begin) :] for begin, text in _BOUNDS.items() if match[2].startswith(begin)), ""
    )
    said = said.partition(",")[0]
    names = re.findall(r"'(-[^']*)'", match[1])
    for at, word in enumerate(arguments):
        option, equals, value = word.partition("=")
        if option in names and said:
            value = value if equals else arguments[at + 1] if at + 1 < len(arguments) else ""
            return f"{option} {value}: {said}"
    if names and said:
        return f"{names[0]}, as stylize.toml has it: {said}"
    return message


def closest(word: str, known: Iterable[str]) -> str:
    """The one of ``known`` that ``word`` is nearly, if any is."""
    near = difflib.get_close_matches(word, list(known), 3, 0.6)
    begin = word.lstrip("-")[:1].lower()  # people get the first letter right: --stile is --style, not --tile
    return next((one for one in near if one.lstrip("-")[:1].lower() == begin), near[0] if near else "")


def _with_command(arguments: list[str], word: str) -> str:
    """``stylize photo.jpg`` with the command that it lacks."""
    suffix = Path(word).suffix.lower()
    if not (is_file(word) or is_folder(word) or suffix in (*_FILMS, *_PICTURES)):
        return ""
    command = "video" if suffix in _FILMS else "image"
    rest = arguments[arguments.index(word) :] if word in arguments else [word]
    if not any(one.startswith(("-s", "--style", "--blend")) for one in rest):
        rest = [*rest, "--style", "IMAGE"]
    return f"'{shlex.join(['stylize', command, *rest])}'"


def _last_as_style(arguments: list[str]) -> str:
    """``image photo.jpg starry.jpg`` with the option that it lacks."""
    # (What stands behind an option is its value.)
    files = [
        one for before, one in itertools.pairwise(arguments) if is_file(one) and not before.startswith("-")
    ]
    if len(files) < 2 or Path(files[-1]).suffix.lower() not in _PICTURES:
        return ""
    place = len(arguments) - 1 - arguments[::-1].index(files[-1])
    return f"'{shlex.join(['stylize', *arguments[:place], '--style', *arguments[place:]])}'"


def _neighbour(path: Path) -> str:
    """A file beside the place of one that is not there, of nearly its name."""
    try:
        names = [one.name for one in path.parent.iterdir() if one.is_file()]
    except OSError:
        return ""
    found = closest(path.name, names)
    return str(path.with_name(found)) if found else ""
