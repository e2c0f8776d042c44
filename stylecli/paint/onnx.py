"""A painting network as ONNX files of one size, for programs without torch; onnxruntime has to paint the same."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stylecli.errors import InputError, UsageError
from stylecli.files.atomic import atomic_path
from stylecli.ops import register
from stylecli.ops.kernel_mode import VARIABLE
from stylecli.paint.stylizer import Stylizer

log = logging.getLogger(__name__)

AGREEMENT = 1 / 255
"""How much the files' results may differ from torch's."""

PAINTER, ENCODER = "painter", "encoder"


class _Painter(nn.Module):
    """content (1, 3, H, W) and style (1, S) to painting (1, 3, H, W), all in 0..1."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, content: Tensor, style: Tensor) -> Tensor:
        return self.network.paint(content, style, 1.0, 0)  # type: ignore[operator,no-any-return]


class _Encoder(nn.Module):
    """picture (1, 3, N, N) to style (1, S)."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, picture: Tensor) -> Tensor:
        return self.network.encode_style(picture)  # type: ignore[operator,no-any-return]


def export_onnx(stylizer: Stylizer, folder: Path, height: int, width: int) -> Iterator[tuple[Path, float]]:
    """Write encoder.onnx and painter.onnx into ``folder``; each file, and how far onnxruntime is from torch at most.

    Raises UsageError for a network that paints after phrases alone, or where the packages are missing, and InputError
    where the results differ.
    """
    check_packages()
    if stylizer.encoder is not None or not hasattr(stylizer.network, "encode_style"):
        raise UsageError("only networks that paint like a picture are exported: take stylerwkv-s")
    network = stylizer.network.float().eval()
    side = stylizer.descriptor.style_side
    with _plain(), torch.no_grad():
        picture, content = _waves(side, side), _waves(height, width)
        style = network.encode_style(picture)  # type: ignore[operator]
        parts: Sequence[tuple[str, nn.Module, dict[str, Tensor], str]] = (
            (ENCODER, _Encoder(network), {"picture": picture}, "style"),
            (PAINTER, _Painter(network), {"content": content, "style": style}, "painting"),
        )
        for name, module, inputs, result in parts:
            path = folder / f"{name}.onnx"
            log.info(f"{path}: exporting, which takes minutes")
            yield path, _written(path, module.eval(), inputs, result)


def check_packages() -> None:
    """Raises UsageError where they are not installed."""
    from importlib.util import find_spec

    if not all(map(find_spec, ("onnx", "onnxscript", "onnxruntime"))):
        raise UsageError("export onnx needs three packages: pip install 'stylecli[onnx]'")


def _written(path: Path, module: nn.Module, inputs: dict[str, Tensor], result: str) -> float:
    """The file, and the largest difference of its result. Raises InputError where that is too large."""
    wanted = module(
        *inputs.values()
    )  # first: the noise that it draws is then kept, and goes into the file as it is
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        # It misses torchvision, which nothing here needs.
        logging.getLogger("torch.onnx").setLevel(logging.ERROR)
        program: Any = torch.onnx.export(
            module,
            tuple(inputs.values()),
            dynamo=True,
            verbose=False,
            input_names=[*inputs],
            output_names=[result],
        )
    with atomic_path(path) as part:
        program.save(part)
        apart = _apart(part, inputs, wanted)
        if not apart <= AGREEMENT:
            raise InputError(f"{path}: onnxruntime's result differs from torch's by {apart:.2g}: not written")
    return apart


def _apart(path: Path, inputs: dict[str, Tensor], wanted: Tensor) -> float:
    import onnxruntime

    session = onnxruntime.InferenceSession(os.fspath(path), providers=["CPUExecutionProvider"])
    made = session.run(None, {name: value.numpy() for name, value in inputs.items()})[0]
    return float((torch.from_numpy(made) - wanted).abs().max())


def _waves(height: int, width: int) -> Tensor:
    """A smooth picture (1, 3, H, W), always the same."""
    noise = torch.rand(1, 3, 9, 9, generator=torch.Generator().manual_seed(0))
    return F.interpolate(noise, size=(height, width), mode="bicubic").clamp(0, 1)


@contextmanager
def _plain() -> Iterator[None]:
    """Within: our operators are what torch makes of them, and no kernel is used."""
    before = os.environ.get(VARIABLE)
    os.environ[VARIABLE] = "off"
    try:
        with register.inlined():
            yield
    finally:
        if before is None:
            del os.environ[VARIABLE]
        else:
            os.environ[VARIABLE] = before
