"""The process in which a device proves its kernels: ``python -m stylecli.proving TASK``, started by ops/prover.py.

It may crash or hang, that is what it is for. What it begins and what came of it goes to stdout, one JSON object a line.
"""

from __future__ import annotations

import faulthandler
import json
import os
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

_SIDES = {"cpu": (64, 96)}  # of the picture; on a card a larger one, or its time would say nothing
_CARD_SIDES = (256, 384)


def main(task: dict[str, Any]) -> None:
    """Check the operators ``left`` and paint."""
    # By itself, too: where the parent was killed, nobody else ends a kernel that hangs.
    patience = 2 * task["seconds"]
    faulthandler.enable()
    faulthandler.dump_traceback_later(patience + 120, exit=True)
    with suppress(ImportError, ValueError, OSError):
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    import torch

    from stylecli.ops import build, proof
    from stylecli.ops.catalog import OPERATORS, dtypes
    from stylecli.ops.check import FULL, QUICK, check
    from stylecli.ops.prover import CUDA_GRAPH, PAINTING

    if task["library"] is not None:
        build.use(Path(task["library"]))
    proof.excluded.update(task["without"])
    device = torch.device(task["device"])
    lengths = QUICK if device.type == "cpu" and not task["full"] else FULL
    for op in (op for op in OPERATORS if op.name in task["left"]):
        faulthandler.dump_traceback_later(patience, exit=True)
        _say(begin=op.name)
        for dtype in dtypes(device.type):
            for result in check(op, device, dtype, lengths, task["full"]):
                _say(**result.row())
                if not result.passed:
                    proof.excluded.add(op.name)
                if result.error == float("inf") and device.type != "cpu":
                    sys.exit(70)  # a card takes no more work from a process in which a kernel crashed
    if CUDA_GRAPH in task["left"]:
        faulthandler.dump_traceback_later(patience, exit=True)
        _say(begin=CUDA_GRAPH)
        _look_at_graphs(device, task["network"], task["weights"])
    faulthandler.dump_traceback_later(patience, exit=True)
    _say(begin=PAINTING)
    _look_at_painting(device, task["network"], task["weights"])


def _say(**words: Any) -> None:
    sys.stdout.write(json.dumps(words) + "\n")
    sys.stdout.flush()


def _loaded(network: str, weights: str | None, device: str, dtype: str, style: Any) -> Any:
    """A stylizer with a style, (3, H, W), or with a phrase where the network wants one."""
    from stylecli import Stylizer

    file = None if weights is None else Path(weights)
    paint = Stylizer.from_pretrained(network, device=device, dtype=dtype, weights=file, tile=0)
    return paint.encode_style(style) if paint.encoder is None else paint.encode_prompt("a watercolour")


def _look_at_graphs(device: Any, network: str, weights: str | None) -> None:
    """Two pictures painted as a CUDA graph that was recorded on one of them, beside plain calls."""
    import torch

    from stylecli.errors import StylizeError
    from stylecli.ops import proof
    from stylecli.ops.catalog import LIMITS
    from stylecli.ops.check import Result
    from stylecli.ops.prover import CUDA_GRAPH

    photo = _photo(*_CARD_SIDES)
    pictures = [photo, photo.flip(1)]
    try:
        paint = _loaded(network, weights, str(device), "fp32", photo.flip(2))
    except StylizeError as error:  # such as weights that are not there: nothing to be seen
        sys.stderr.write(f"no painting: {error}\n")
        return
    proof.excluded.add(CUDA_GRAPH)
    plain = [_painted(paint, picture)[0].double() for picture in pictures]
    proof.excluded.discard(CUDA_GRAPH)
    # The first one is painted plainly, the second records, the others replay.
    painted = [_painted(paint, picture)[0].double() for picture in [photo, *pictures, *pictures]][1:]
    apart = max(
        float((a - b).square().mean().sqrt() / b.square().mean().sqrt())
        for a, b in zip(painted, [*plain, *plain], strict=True)
    )
    limit = LIMITS[torch.float32][0]
    problem = "" if apart <= limit else f"off by {apart:.1e}, {limit:.0e} is allowed"
    result = Result(CUDA_GRAPH, str(device), "float32", "forward", "compiled", apart, limit, problem)
    _say(**result.row())
    if problem:
        proof.excluded.add(CUDA_GRAPH)


def _look_at_painting(device: Any, network: str, weights: str | None) -> None:
    """A small picture in plain torch on the CPU, then on the device in each of its number formats."""
    import torch

    from stylecli.errors import StylizeError
    from stylecli.ops.prover import FAITHFUL

    height, width = _SIDES.get(device.type, _CARD_SIDES)
    photo = _photo(height, width)

    def load(where: str, dtype: str) -> Any:
        return _loaded(network, weights, where, dtype, photo.flip(2))

    os.environ["STYLIZE_KERNELS"] = "off"
    try:
        paint = load("cpu", "fp32")
    except StylizeError as error:  # such as weights that are not there: nothing to be seen
        sys.stderr.write(f"no painting: {error}\n")
        return
    expected, seconds = _painted(paint, photo)
    _say(dtype="reference", decibels=float("inf"), seconds=seconds)
    os.environ["STYLIZE_KERNELS"] = "all"
    for name in ("fp32",) if device.type == "cpu" else ("fp32", "bf16", "fp16"):
        try:
            if device.type != "cpu":
                paint = load(str(device), name)
                _painted(paint, photo)  # the first one compiles and finds its way
            tries = [_painted(paint, photo) for _ in range(1 if device.type == "cpu" else 5)]
            painted, seconds = min(
                tries, key=lambda one: one[1]
            )  # a card's times differ more than its formats
        except Exception as error:  # a format that this device does not compute in
            sys.stderr.write(f"{name}: {error}\n")
            continue
        apart = (painted.double() - expected.double()).square().mean()
        decibels = float(-10 * apart.log10()) if torch.isfinite(apart) else float("-inf")
        _say(dtype=str(paint.dtype).removeprefix("torch."), decibels=decibels, seconds=seconds)
        if name == "fp32" and decibels < FAITHFUL:
            _say(problem=f"{decibels:.0f} dB from plain torch on the CPU, {FAITHFUL:.0f} are needed")


def _painted(paint: Any, photo: Any) -> tuple[Any, float]:
    """The painting (3, H, W) and the seconds that it took."""
    begun = time.perf_counter()
    painted = paint(photo).float().cpu()
    return painted, time.perf_counter() - begun


def _photo(height: int, width: int) -> Any:
    """Waves, a slope and a flat place: (3, H, W)."""
    import torch

    y, x = torch.meshgrid(torch.linspace(0, 1, height), torch.linspace(0, 1, width), indexing="ij")
    waves = [torch.sin(9 * (c + 1) * x + 7 * y) * torch.cos(5 * y * (3 - c)) for c in range(3)]
    photo = 0.5 + 0.4 * torch.stack(waves) * (x > 0.3)
    return torch.where(y < 0.2, x.expand_as(photo), photo)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
    sys.stderr.flush()
    os._exit(0)  # an ordinary exit takes all modules apart first, for half a second
