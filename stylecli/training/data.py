"""Training images: decoded once, kept in memory, cropped by rules that depend on nothing but seed and step."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from stylecli.errors import InputError, UsageError

_SUFFIXES = {".jpg", ".jpeg", ".png", ".webp"}


def list_images(folders: Sequence[Path]) -> list[Path]:
    """Every picture directly in the folders, sorted. Raises UsageError where there is none."""
    found = [p for folder in folders for p in sorted(folder.glob("*")) if p.suffix.lower() in _SUFFIXES]
    if not found:
        raise UsageError(f"no images in {', '.join(map(str, folders))}")
    return found


def read_rgb(path: Path) -> Image.Image:
    """The picture at ``path`` as RGB. Raises InputError, one line, where it cannot be read."""
    try:
        with Image.open(path) as file:
            return file.convert("RGB")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise InputError(f"{path}: cannot be read ({error}); take it out of the folder") from None


def to_tensor(image: Image.Image) -> Tensor:
    """RGB picture to (3, H, W) in 0..1."""
    return torch.from_numpy(np.array(image)).permute(2, 0, 1).float() / 255


def to_bytes(image: Image.Image) -> Tensor:
    """RGB picture to (3, H, W) uint8."""
    return torch.from_numpy(np.array(image)).permute(2, 0, 1).contiguous()


def resize_short_side(image: Image.Image, size: int) -> Image.Image:
    """Scaled so that the short side is ``size`` pixels."""
    k = size / min(image.size)
    return image.resize(
        (max(size, round(image.width * k)), max(size, round(image.height * k))), Image.Resampling.LANCZOS
    )


def centre_square(image: Image.Image, size: int) -> Image.Image:
    """The middle of the picture, scaled to size x size."""
    image = resize_short_side(image, size)
    x, y = (image.width - size) // 2, (image.height - size) // 2
    return image.crop((x, y, x + size, y + size))


def random_square(image: Image.Image, size: int, rng: np.random.Generator) -> Image.Image:
    """size x size of a picture that is at least as large, anywhere in it."""
    x, y = (int(rng.integers(0, n - size + 1)) for n in image.size)
    return image.crop((x, y, x + size, y + size))


def generator(*numbers: int) -> np.random.Generator:
    """Random numbers that depend on seed, step and place in the batch alone."""
    return np.random.default_rng(numbers)


def draw(rng: np.random.Generator, total: int, place: int, places: int) -> int:
    """A number under ``total`` for one place in the batch. Places draw from disjoint sets where there is enough, so
    that what one worker has computed no other computes again."""
    if total < places:
        return int(rng.integers(total))
    return int(rng.integers(0, (total - place + places - 1) // places)) * places + place


def _together(read: Callable[[int], Tensor], numbers: Sequence[int]) -> list[Tensor]:
    """Pictures by number, decoded by as many threads as there are processors."""
    if len(numbers) < 2:
        return [read(n) for n in numbers]
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        return list(threads.map(read, numbers))


class ContentCrops:
    """Fixed crops of photographs: ``VARIANTS`` per file, differing in scale, place and mirroring."""

    VARIANTS = 4

    def __init__(self, paths: list[Path], crop: int):
        self.paths, self.crop = paths, crop
        self._cache: dict[int, Tensor] = {}
        self._all: Tensor | None = None

    def __len__(self) -> int:
        return len(self.paths) * self.VARIANTS

    def __getitem__(self, index: int) -> Tensor:
        """(3, crop, crop) in 0..1."""
        if index not in self._cache:
            self._cache[index] = self._read(index)
        return self._cache[index].float() / 255

    def preload(self, device: torch.device) -> None:
        """Decode all of them now, and keep them on a device."""
        self._all = torch.stack(_together(self._read, range(len(self)))).to(device)

    def stack(self, indices: Sequence[int], device: torch.device) -> Tensor:
        """(B, 3, crop, crop) in 0..1 on a device."""
        if self._all is None:
            return torch.stack([self[i] for i in indices]).to(device)
        return self._all[torch.tensor(indices)].float() / 255

    def _read(self, index: int) -> Tensor:
        """(3, crop, crop) uint8."""
        rng = np.random.default_rng([index, self.crop])
        image = read_rgb(self.paths[index // self.VARIANTS])
        short = int(np.exp(rng.uniform(np.log(self.crop * 1.02), np.log(max(400, self.crop * 1.6)))))
        image = random_square(resize_short_side(image, short), self.crop, rng)
        if index % 2:
            image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        return to_bytes(image)


class StyleImages:
    """The square in the middle of every style, all of its short side: it is to be painted with at that size."""

    def __init__(self, paths: list[Path], size: int = 256):
        self.paths, self.size = paths, size
        self._cache: dict[int, Tensor] = {}

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> Tensor:
        """(3, size, size) in 0..1."""
        if index not in self._cache:
            self._cache[index] = self._read(index)
        return self._cache[index].float() / 255

    def stack(self, indices: Sequence[int], device: torch.device, keep: bool = True) -> Tensor:
        """(B, 3, size, size) in 0..1 on a device; ``keep``: in main memory for the next time."""
        if keep:
            return torch.stack([self[i] for i in indices]).to(device)
        return torch.stack(_together(self._read, indices)).to(device).float() / 255

    def _read(self, index: int) -> Tensor:
        """(3, size, size) uint8."""
        return to_bytes(centre_square(read_rgb(self.paths[index]), self.size))
