"""``stylize train autoencoder`` and ``stylize train mamba``: the text-guided networks."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from stylecli.cli import options
from stylecli.cli.train import (
    Batch,
    Crop,
    Out,
    Precision,
    Rate,
    Resume,
    Steps,
    WarmStart,
    Workers,
    run_training,
    train,
    vgg16_file,
)

File = Annotated[
    Path | None, typer.Option(metavar="FILE", show_default="the bundled or downloaded one", exists=True)
]


@train.command()
def autoencoder(
    images: Annotated[
        list[Path], typer.Option(metavar="DIR", exists=True, help="Folder of any pictures; repeatable.")
    ],
    val: Annotated[
        list[Path] | None, typer.Option(metavar="DIR", exists=True, help="Pictures to measure; repeatable.")
    ] = None,
    out: Out = Path("runs/autoencoder"),
    steps: Steps = 2500,
    batch: Batch = 8,
    crop: Crop = 96,
    lr: Rate = 1e-3,
    fine_block: Annotated[
        bool,
        typer.Option("--fine-block/--no-fine-block", help="Residual blocks at stride 2, which cost time."),
    ] = True,
    teacher: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", exists=True, help="Auto-encoder whose latents are kept: StyleMamba fits."
        ),
    ] = None,
    warm_start: WarmStart = None,
    resume: Resume = True,
    seed: options.Seed = 0,
    device: options.DeviceOption = options.Device.auto,
    workers: Workers = 1,
) -> None:
    """Train the auto-encoder that StyleMamba paints in. Ctrl-C is safe: the same command goes on."""
    from stylecli.devices import choose_device
    from stylecli.models.autoencoder.config import AutoencoderConfig
    from stylecli.training.autoencoder import AutoencoderTraining
    from stylecli.training.autoencoder import train as run
    from stylecli.weights import locate

    config = AutoencoderTraining(
        images=images,
        out=out,
        val=val or [],
        steps=steps,
        batch=batch,
        crop=crop,
        lr=lr,
        teacher=(teacher, locate("stylemamba-s"), locate("siglip-s")) if teacher else None,
        warm_start=warm_start,
        resume=resume,
        seed=seed,
        device=str(choose_device(device.value)),
        workers=workers,
        network=AutoencoderConfig(fine_block=fine_block),
    )
    run_training(lambda: run(config), out)


@train.command()
def mamba(
    content: Annotated[
        list[Path], typer.Option(metavar="DIR", exists=True, help="Folder of photographs; repeatable.")
    ],
    styles: Annotated[
        Path, typer.Option(metavar="DIR", exists=True, help="Folder of artworks with a manifest.csv.")
    ],
    vgg: File = None,
    autoencoder: File = None,
    siglip: File = None,
    out: Out = Path("runs/mamba"),
    steps: Steps = 8000,
    batch: Batch = 4,
    crop: Crop = 192,
    lr: Rate = 1e-3,
    warm_start: WarmStart = None,
    resume: Resume = True,
    val_content: Annotated[
        Path | None, typer.Option(metavar="DIR", exists=True, help="Photographs of the contact sheets.")
    ] = None,
    seed: options.Seed = 0,
    device: options.DeviceOption = options.Device.auto,
    dtype: Precision = options.TrainDtype.auto,
    workers: Workers = 1,
) -> None:
    """Train StyleMamba on photographs and captioned artworks. Ctrl-C is safe: the same command goes on."""
    import torch

    from stylecli.devices import choose_device, choose_dtype
    from stylecli.training.mamba import MambaTraining
    from stylecli.training.mamba import train as run
    from stylecli.weights import locate

    where = choose_device(device.value)
    config = MambaTraining(
        content=content,
        styles=styles,
        vgg=vgg or vgg16_file(),
        autoencoder=autoencoder or locate("autoencoder-s"),
        siglip=siglip or locate("siglip-s"),
        out=out,
        val_content=val_content,
        steps=steps,
        batch=batch,
        crop=crop,
        first_crop=min(crop, MambaTraining.first_crop),
        lr=lr,
        seed=seed,
        device=str(where),
        workers=workers,
        bf16=choose_dtype(dtype.value, where) == torch.bfloat16,
        warm_start=warm_start,
        resume=resume,
    )
    run_training(lambda: run(config), out)
