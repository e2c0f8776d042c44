"""Ready styles: pictures that a name such as ``@woodblock`` stands for, drawn by this package or kept by the user."""

from __future__ import annotations

import os
import re
from pathlib import Path

from stylecli.errors import InputError, UsageError
from stylecli.files.atomic import atomic_file
from stylecli.files.cache import cache_dir, data_dir, digest_of

SIGN, ALL = "@", "@all"
VERSION = 1
"""Of the drawings: another number where one of them has changed."""

PHRASE = ".phrase"
"""Suffix of a style of the user's own that is a phrase: its words, and on a second line which of its styles."""

_SIDE = 512  # pixels
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")
_SPELLED = {"watercolor": "watercolour", "color-blocks": "colour-blocks", "woodcut": "woodblock"}


def shipped() -> list[str]:
    """Names of the drawn styles."""
    from stylecli.samples import READY

    return list(READY)


def own() -> dict[str, Path]:
    """The user's own by name."""
    try:
        files = sorted(_own_folder().iterdir())
    except OSError:
        return {}
    return {path.stem: path for path in files if _NAME.fullmatch(path.stem) and path.is_file()}


def is_known(text: str) -> bool:
    """Whether ``text``, with its @, is the name of a ready style."""
    return text.startswith(SIGN) and _plain(text) in {*shipped(), *own()}


def find(text: str) -> Path:
    """The picture of ``@name``; a drawn one is drawn at its first use. Raises UsageError, InputError."""
    name, mine = _plain(text), own()
    if name in mine:
        return mine[name]
    if name not in shipped():
        raise UsageError(f"no ready style is called {text}: 'stylize styles' lists them")
    path = _drawn_folder() / f"{name}.png"
    if not path.is_file():
        from stylecli.samples import READY

        try:
            with atomic_file(path) as file:
                READY[name](_SIDE).save(file, format="PNG")  # type: ignore[arg-type]
        except InputError as error:
            raise InputError(f"{error} (STYLIZE_CACHE names another folder)") from error
    return path


def find_all() -> list[Path]:
    """Every ready style."""
    return [find(f"{SIGN}{name}") for name in dict.fromkeys([*shipped(), *own()])]


def style_digest(path: Path) -> str:
    """What a style image is known by: a drawn one by its name, for its numbers may differ between machines.

    Raises OSError."""
    if path.parent == _drawn_folder():
        return f"{SIGN}{path.stem} {VERSION}"
    return digest_of(path)


def add(name: str, image: Path, *, replace: bool = False) -> Path:
    """Keep a copy of ``image`` as the style ``@name``. Raises UsageError, and InputError for what is no picture."""
    from stylecli.media import read_picture

    plain = _new_name(name, replace)
    read_picture(image, name=str(image))
    return _keep(plain, image.suffix.lower() or ".png", image.read_bytes())


def add_phrase(name: str, phrase: str, take: int = 0, *, replace: bool = False) -> Path:
    """Keep a phrase as the style ``@name``; ``take``: which of its styles. Raises UsageError."""
    return _keep(_new_name(name, replace), PHRASE, f"{phrase}\n{take}\n".encode())


def phrase_of(path: Path) -> tuple[str, int] | None:
    """Words and take of a style that is a phrase; None for a picture. Raises InputError for a file that is damaged."""
    if path.suffix != PHRASE:
        return None
    try:
        phrase, take = path.read_text(encoding="utf-8").splitlines()
        return phrase, int(take)
    except (OSError, ValueError):
        raise InputError(f"{path}: not a phrase as 'stylize styles add' keeps it") from None


def _new_name(name: str, replace: bool) -> str:
    """Raises UsageError for one that is taken, or cannot be."""
    plain = _plain(name)
    if not _NAME.fullmatch(plain) or SIGN + plain == ALL:
        raise UsageError(f"{name}: a name has small letters, digits, - and _, 40 at most (and is not 'all')")
    if plain in shipped():
        raise UsageError(f"@{plain} is one of the styles that ship: choose another name")
    if plain in own() and not replace:
        raise UsageError(f"@{plain} exists already: --overwrite replaces it")
    return plain


def _keep(plain: str, suffix: str, data: bytes) -> Path:
    there, target = own().get(plain), _own_folder() / f"{plain}{suffix}"
    with atomic_file(target) as file:
        file.write(data)
    if there is not None and there != target:
        there.unlink()
    return target


def remove(name: str) -> None:
    """Raises UsageError for a style that is not the user's own."""
    plain = _plain(name)
    path = own().get(plain)
    if path is None:
        said = "ships with stylize and stays" if plain in shipped() else "is none of your styles"
        raise UsageError(f"@{plain} {said}: 'stylize styles' lists them")
    os.unlink(path)  # noqa: PTH108


def _plain(text: str) -> str:
    name = text.removeprefix(SIGN).lower()
    return _SPELLED.get(name, name)


def _own_folder() -> Path:
    return data_dir() / "styles"


def _drawn_folder() -> Path:
    return cache_dir() / f"styles-{VERSION}"
