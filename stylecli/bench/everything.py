"""All measurements in a row, as far as there is something to measure them on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from stylecli.bench import scale
from stylecli.bench.section import Progress, Section

_MEGAPIXELS = (1.0, 4.0, 16.0, 64.0)


@dataclass(frozen=True)
class Inputs:
    """Folders and files of the user's own; what is None leaves out the measurements that need it."""

    photographs: Path | None
    styles: Path | None
    data: Path | None
    clips: tuple[Path, ...]
    vgg: Path | None


def run(inputs: Inputs, device: str, progress: Progress) -> list[Section]:
    """Raises what the measurements raise."""
    limit = 4 << 30
    rows = list(scale.run(_MEGAPIXELS, ["--memory-limit", "4G"], progress=progress))
    # Only now what needs torch: figures of child processes would count what this one holds.
    from stylecli.bench import kernels, prompts, quality, samples, speed
    from stylecli.devices import choose_device
    from stylecli.weights import locate

    sections = [samples.run(device), *speed.run(device=device, progress=progress), scale.section(rows, limit)]
    progress("kernels")
    sections.append(kernels.section(kernels.run(choose_device(device))))
    if inputs.photographs and inputs.styles:
        vgg = inputs.vgg or locate("vgg16")
        sections += quality.run(inputs.photographs, inputs.styles, vgg, progress=progress)
    else:
        progress("left out: quality, which needs --photographs and --styles")
    if inputs.photographs and inputs.data:
        vgg = inputs.vgg or locate("vgg16")
        sections.append(prompts.section(prompts.run(inputs.data, inputs.photographs, vgg, progress=progress)))
    else:
        progress("left out: text, which needs --photographs and --data")
    if inputs.clips and inputs.styles:
        sections.append(_video(inputs.clips, inputs.styles))
    else:
        progress("left out: video, which needs --clip and --styles")
    return sections


def _video(clips: tuple[Path, ...], styles: Path) -> Section:
    from stylecli.bench import video
    from stylecli.media.video.clip import Excerpt
    from stylecli.paint.options import TEMPORAL
    from stylecli.training.data import list_images

    style, excerpt = list_images([styles])[0], Excerpt(max_frames=150, max_size=320)
    paint = video.painter(style)
    return video.flicker_section([video.flicker(clip, style, paint, excerpt, TEMPORAL) for clip in clips])
