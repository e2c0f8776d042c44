"""``stylize train``: a thin shell around the training loops."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from stylecli.cli import options

Out = Annotated[Path, typer.Option(metavar="DIR", help="Checkpoints, sheets, log, weights.")]
Steps = Annotated[int, typer.Option(metavar="N", min=1, help="Length of the run.")]
Batch = Annotated[int, typer.Option(metavar="N", min=1, help="Pictures per step.")]
Crop = Annotated[int, typer.Option(metavar="PIXELS", min=32, help="Side of a crop, in 32s.")]
Rate = Annotated[
    float, typer.Option(metavar="X", min=0, callback=options.finite, help="Highest learning rate.")
]
WarmStart = Annotated[Path | None, typer.Option(metavar="FILE", exists=True, help="Weights to begin with.")]
Resume = Annotated[
    bool, typer.Option("--resume/--fresh", help="Go on from the checkpoint in --out, or begin anew.")
]
Workers = Annotated[
    int, typer.Option(metavar="N", min=1, help="Processes that share a batch; on a CPU, one for each core.")
]
Precision = Annotated[
    options.TrainDtype, typer.Option(help="auto: mixed precision (bf16) where the processor has it.")
]
SaveEvery = Annotated[int, typer.Option(metavar="N", min=1, help="Steps between checkpoints.")]
Vgg = Annotated[
    Path | None,
    typer.Option(metavar="FILE", show_default="weights named vgg16", help="VGG-16 as safetensors."),
]

train = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Train a network on your own pictures.",
)


@train.callback()
def _group() -> None:
    """Train a network on your own pictures."""


@train.command()
def rwkv(
    content: Annotated[
        list[Path], typer.Option(metavar="DIR", exists=True, help="Folder of photographs; repeatable.")
    ],
    style: Annotated[
        list[Path], typer.Option(metavar="DIR", exists=True, help="Folder of styles; repeatable.")
    ],
    vgg: Vgg = None,
    out: Out = Path("runs/rwkv"),
    steps: Steps = 10_000,
    crop: Crop = 224,
    batch: Batch = 4,
    lr: Rate = 1e-3,
    warm_start: WarmStart = None,
    resume: Resume = True,
    val_content: Annotated[
        Path | None, typer.Option(metavar="DIR", exists=True, help="Photographs of the contact sheets.")
    ] = None,
    val_style: Annotated[
        Path | None, typer.Option(metavar="DIR", exists=True, help="Styles of the contact sheets.")
    ] = None,
    sheet_every: Annotated[int, typer.Option(metavar="N", min=1, help="Steps between sheets.")] = 500,
    save_every: SaveEvery = 250,
    seed: options.Seed = 0,
    device: options.DeviceOption = options.Device.auto,
    dtype: Precision = options.TrainDtype.auto,
    workers: Workers = 1,
    threads: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, show_default="torch's own", help="CPU threads of a single worker."),
    ] = None,
    offline: options.Offline = False,
) -> None:
    """Train StyleRWKV. Ctrl-C is safe: the same command goes on from the last checkpoint."""
    import torch

    from stylecli.devices import choose_device, choose_dtype
    from stylecli.training.rwkv import TrainConfig
    from stylecli.training.rwkv import train as run

    if threads is not None:
        torch.set_num_threads(threads)
    vgg = vgg if vgg is not None else vgg16_file()
    where = choose_device(device.value)
    config = TrainConfig(
        content=content,
        style=style,
        vgg=vgg,
        out=out,
        val_content=val_content,
        val_style=val_style,
        steps=steps,
        batch=batch,
        crop=crop,
        first_crop=min(crop, TrainConfig.first_crop),
        lr=lr,
        seed=seed,
        device=str(where),
        workers=workers,
        bf16=choose_dtype(dtype.value, where) == torch.bfloat16,
        save_every=save_every,
        sheet_every=sheet_every,
        warm_start=warm_start,
        resume=resume,
    )
    run_training(lambda: run(config), out)


@train.command()
def reader(
    images: Annotated[
        list[Path],
        typer.Option(metavar="DIR", exists=True, help="Folder of styles, of photographs; repeatable."),
    ],
    vgg: Vgg = None,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Checkpoints, log, weights.")] = Path(
        "runs/reader"
    ),
    steps: Steps = 4_000,
    crop: Annotated[int, typer.Option(metavar="PIXELS", min=32, help="Side of a crop, in 8s.")] = 160,
    batch: Batch = 16,
    lr: Rate = 1e-3,
    warm_start: Annotated[
        Path | None, typer.Option(metavar="FILE", exists=True, help="StyleRWKV that gets the reader.")
    ] = None,
    resume: Resume = True,
    save_every: SaveEvery = 250,
    seed: options.Seed = 0,
    device: options.DeviceOption = options.Device.auto,
    dtype: Precision = options.TrainDtype.auto,
    workers: Workers = 1,
) -> None:
    """Train the part of StyleRWKV that reads styles, before 'train rwkv --warm-start'. Ctrl-C is safe."""
    import torch

    from stylecli.devices import choose_device, choose_dtype
    from stylecli.training.reader import ReaderTrainConfig
    from stylecli.training.reader import train as run

    where = choose_device(device.value)
    config = ReaderTrainConfig(
        images=images,
        vgg=vgg if vgg is not None else vgg16_file(),
        out=out,
        steps=steps,
        batch=batch,
        crop=crop,
        lr=lr,
        seed=seed,
        device=str(where),
        workers=workers,
        bf16=choose_dtype(dtype.value, where) == torch.bfloat16,
        save_every=save_every,
        warm_start=warm_start,
        resume=resume,
    )
    run_training(lambda: run(config), out)


@train.command()
def siglip(
    teacher: Annotated[
        Path,
        typer.Option(metavar="DIR", exists=True, help="Sentence encoder: all-MiniLM-L6-v2 as published."),
    ],
    data: Annotated[
        Path, typer.Option(metavar="DIR", exists=True, help="Pictures, with their captions in manifest.csv.")
    ],
    out: Annotated[Path, typer.Option(metavar="DIR", help="Checkpoints, log, weights.")] = Path(
        "runs/siglip"
    ),
    phrases: Annotated[
        int, typer.Option(metavar="N", min=100, help="Phrases that the text tower learns.")
    ] = 150_000,
    text_steps: Annotated[int, typer.Option(metavar="N", min=1, help="Length of the first phase.")] = 2_900,
    text_batch: Annotated[int, typer.Option(metavar="N", min=2, help="Phrases per step.")] = 384,
    image_steps: Annotated[int, typer.Option(metavar="N", min=1, help="Length of the second phase.")] = 1_400,
    image_batch: Annotated[int, typer.Option(metavar="N", min=2, help="Pictures per step.")] = 48,
    crop: Annotated[int, typer.Option(metavar="PIXELS", min=56, help="Side of a crop.")] = 96,
    resume: Annotated[
        bool, typer.Option("--resume/--fresh", help="Go on from the checkpoints in --out, or begin anew.")
    ] = True,
    save_every: SaveEvery = 250,
    seed: options.Seed = 0,
    device: options.DeviceOption = options.Device.auto,
    threads: Annotated[
        int | None, typer.Option(metavar="N", min=1, show_default="torch's own", help="CPU threads.")
    ] = None,
) -> None:
    """Train the text-image encoder. Ctrl-C is safe: the same command goes on from the last checkpoint."""
    import torch

    from stylecli.devices import choose_device
    from stylecli.training.siglip import SiglipTrainConfig
    from stylecli.training.siglip import train as run

    if threads is not None:
        torch.set_num_threads(threads)
    config = SiglipTrainConfig(
        teacher=teacher,
        data=data,
        out=out,
        phrases=phrases,
        text_steps=text_steps,
        text_batch=text_batch,
        image_steps=image_steps,
        image_batch=image_batch,
        crop=crop,
        save_every=save_every,
        seed=seed,
        device=str(choose_device(device.value)),
        resume=resume,
    )
    run_training(lambda: run(config), out)


def run_training(training: Callable[[], Path], out: Path) -> None:
    """Train, and say where the weights are; a Ctrl-C ends with 130 and the way to go on."""
    import logging

    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        released = training()
    except KeyboardInterrupt:
        typer.echo(f"interrupted: the same command goes on from the last checkpoint in {out}", err=True)
        raise typer.Exit(130) from None
    typer.echo(f"weights: {released}", err=True)


def vgg16_file() -> Path:
    """The weights named vgg16, fetched where they are missing."""
    from stylecli.console import Console
    from stylecli.weights import locate

    with Console():  # shows a download
        return locate("vgg16")
