"""``stylize train RECIPE``: a thin shell around the trainer."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from stylecli.cli import options


class _Recipes(TyperGroup):
    """``stylize train RECIPE``: whatever is no command of the group is a recipe."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args and args[0] not in (*self.commands, *ctx.help_option_names):
            args = ["recipe", *args]
        return super().parse_args(ctx, args)


train = typer.Typer(
    cls=_Recipes,
    no_args_is_help=True,
    rich_markup_mode=None,
    subcommand_metavar="RECIPE [OPTIONS] | average A:X B:Y -o C",
    help="Train a network on your own pictures, as a recipe says: a TOML file, or the name of one that ships. "
    "'stylize train recipe --help' lists the options.",
)


@train.callback()
def _group() -> None:
    """Train a network on your own pictures."""


@train.command("recipe")
def run_recipe(
    recipe: Annotated[str, typer.Argument(metavar="RECIPE", help="TOML file, or a recipe that ships.")],
    data: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            exists=True,
            file_okay=False,
            show_default="the recipe's own",
            help="Folder that the recipe's paths are relative to.",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            show_default="runs/ and the recipe's name",
            help="Checkpoints, sheets, log, weights.",
        ),
    ] = None,
    steps: Annotated[int | None, typer.Option(metavar="N", min=1, help="Length of the run.")] = None,
    device: Annotated[
        str | None, typer.Option(metavar="NAME", help="Where to compute: auto, cpu, cuda, cuda:1.")
    ] = None,
    changes: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="Change one value of the recipe, such as losses.style=3; repeatable.",
        ),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume/--fresh", help="Go on from the checkpoint in --out, or begin anew.")
    ] = True,
    offline: options.Offline = False,
) -> None:
    """Train as a recipe says. Ctrl-C is safe: the same command goes on from the last checkpoint."""
    from stylecli.console import Console
    from stylecli.training.recipe import load_recipe
    from stylecli.training.trainer import train as run

    overrides = [*(changes or ())]
    overrides += [f"steps={steps}"] if steps else []
    overrides += [f"device={device}"] if device else []
    loaded = load_recipe(recipe, data, overrides)
    out = out or Path("runs") / Path(recipe).stem
    with Console() as console:
        loaded.fetch()
        try:
            released = run(loaded, out, fresh=not resume)
        except KeyboardInterrupt:
            console.say(f"interrupted: saved; the same command goes on from the checkpoint in {out}")
            raise typer.Exit(130) from None
        console.say(f"weights: {released}")


@train.command()
def average(
    weights: Annotated[
        list[str], typer.Argument(metavar="FILE:SHARE...", help="Weights files of one network, with shares.")
    ],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="Where the mean goes.")],
) -> None:
    """Write the weighted mean of weights files, such as 'a.safetensors:0.65 b.safetensors:0.35'."""
    from stylecli.console import Console
    from stylecli.training.average import average as run
    from stylecli.training.average import parse_shares

    with Console() as console:
        run(parse_shares(weights), output)
        console.say(f"weights: {output}")
