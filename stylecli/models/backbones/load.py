"""``--backbone``: the paper's set-up, its networks read by the libraries that they were published for.

StyleMamba (arXiv 2405.05027) works between Stable Diffusion's auto-encoder and SigLIP, and trains its fusion module
for each prompt. No trained module exists for these networks: it starts untrained here, and refinement is all it learns.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from stylecli.errors import UsageError, WeightsError
from stylecli.models.backbones import BACKBONES, SIGLIP
from stylecli.models.backbones.autoencoder import PublishedAutoencoder
from stylecli.models.backbones.encoder import PublishedSiglip
from stylecli.models.backbones.fusion import ResidualStyleMamba
from stylecli.models.style_mamba.config import StyleMambaConfig
from stylecli.models.style_mamba.painter import TextPainter
from stylecli.weights import locate


def load_backbone(name: str, seed: int = 0) -> tuple[TextPainter, PublishedSiglip]:
    """The networks of ``BACKBONES[name]`` around a fusion module that starts from ``seed`` and changes nothing yet.

    Raises:
        WeightsError: missing or damaged files. UsageError: the libraries that read them are not installed.
    """
    libraries = _libraries(name)
    vae_name, vae_class = BACKBONES[name]
    vae = _read(
        getattr(libraries["diffusers"], vae_class),
        _folder(vae_name, "config.json", "diffusion_pytorch_model.safetensors"),
        torch_dtype=torch.float32,
        low_cpu_mem_usage=False,
    )
    folder = _folder(SIGLIP, "config.json", "model.safetensors", "spiece.model")
    siglip = _read(libraries["transformers"].SiglipModel, folder, dtype=torch.float32)
    # Nothing else in the folder is needed: the class has the published settings.
    tokenizer = libraries["transformers"].SiglipTokenizer(str(folder / "spiece.model"))
    autoencoder, encoder = PublishedAutoencoder(vae), PublishedSiglip(siglip, tokenizer)
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(seed)
        config = StyleMambaConfig(latent=vae.config.latent_channels, embedding=encoder.width)
        painter = TextPainter(ResidualStyleMamba(config), autoencoder, encoder.encode_text(["a photo"]))
    return painter.eval().requires_grad_(False), encoder.eval().requires_grad_(False)


def _libraries(name: str) -> dict[str, Any]:
    try:
        import diffusers
        import google.protobuf  # noqa: F401 - the tokenizer asks for these two, when it is made
        import sentencepiece  # noqa: F401
        import transformers
    except ImportError as error:
        raise UsageError(
            f"--backbone {name} needs more packages: pip install 'stylecli[backbones]', or in a checkout "
            f"pip install '.[backbones]' ({str(error).splitlines()[0]})"
        ) from None
    return {"diffusers": diffusers, "transformers": transformers}


def _folder(name: str, *files: str) -> Path:
    """Where all of a network's files are, verified."""
    return [locate(name, file).parent for file in files][-1]


def _read(library_class: Any, folder: Path, **settings: Any) -> Any:
    """A network from its folder: safetensors alone, nothing from elsewhere. Raises WeightsError."""
    with _quiet():
        try:
            network, report = library_class.from_pretrained(
                folder, local_files_only=True, use_safetensors=True, output_loading_info=True, **settings
            )
        except Exception as error:  # the libraries raise what they please for a file that is not theirs
            reason = str(error).strip().splitlines() or [type(error).__name__]
            raise WeightsError(f"{folder}: not a {library_class.__name__} ({reason[0]})") from None
    # What the file lacks would be random numbers, and only a note in a log.
    wrong = sorted(map(str, [*report["missing_keys"], *report["mismatched_keys"]]))
    if wrong:
        raise WeightsError(
            f"{folder}: not a {library_class.__name__} ({len(wrong)} tensors differ: {wrong[0]})"
        )
    return network


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the libraries' own notes and progress bars off the terminal."""
    from diffusers.utils import logging as of_diffusers
    from transformers.utils import logging as of_transformers

    before = of_diffusers.get_verbosity(), of_transformers.get_verbosity()
    bar = of_transformers.is_progress_bar_enabled()
    of_diffusers.set_verbosity_error()
    of_transformers.set_verbosity_error()
    of_transformers.disable_progress_bar()
    try:
        yield
    finally:
        of_diffusers.set_verbosity(before[0])
        of_transformers.set_verbosity(before[1])
        if bar:
            of_transformers.enable_progress_bar()
