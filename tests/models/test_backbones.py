"""Published networks in place of our own: what we prepare for them is what their libraries prepare, to the number."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from backbones_kit import PHRASES, libraries, save_stand_ins
from conftest import draw
from PIL import Image

from stylecli.errors import WeightsError
from stylecli.models.backbones import BACKBONES
from stylecli.models.backbones.encoder import PublishedSiglip
from stylecli.models.backbones.load import load_backbone
from stylecli.paint.adapt import Refinement, refine


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    libraries()
    return save_stand_ins(tmp_path_factory.mktemp("cache") / "weights").parent


@pytest.fixture(autouse=True)
def use_cache(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STYLIZE_CACHE", str(cache))


@pytest.fixture(scope="module")
def loaded(cache: Path):
    """Every backbone's painter, and the encoder."""
    before = os.environ.get("STYLIZE_CACHE")
    os.environ["STYLIZE_CACHE"] = str(cache)
    try:
        found = {name: load_backbone(name) for name in BACKBONES}
    finally:
        os.environ.pop("STYLIZE_CACHE") if before is None else os.environ.update(STYLIZE_CACHE=before)
    return {name: painter for name, (painter, _) in found.items()}, found["siglip-sd"][1]


@pytest.fixture
def encoder(loaded) -> PublishedSiglip:
    return loaded[1]


def as_tensor(image: Image.Image) -> torch.Tensor:
    return torch.from_numpy(np.array(image)).permute(2, 0, 1)[None].float() / 255


def picture(tmp_path: Path, width: int, height: int) -> Image.Image:
    return Image.open(draw(tmp_path / "picture.png", width, height, seed=3)).convert("RGB")


# SigLIP.


def test_tokens_are_those_of_the_published_tokenizer(encoder: PublishedSiglip, cache: Path) -> None:
    folder = cache / "weights" / "siglip-base-patch16-224"
    published = libraries()[0].SiglipTokenizer.from_pretrained(folder, local_files_only=True)
    prompts = [*PHRASES, "", "  A PHOTO,\n of... a (Rock)! ", "très élégant 浮世絵 🌊", "monet " * 500]
    theirs = published(prompts, padding="max_length", truncation=True, return_tensors="pt")["input_ids"]
    assert theirs.shape == (len(prompts), 64)
    assert torch.equal(encoder.tokenize(prompts), theirs)
    assert (theirs[0, -1], theirs[-1, -1], theirs[5].unique()) == (
        1,
        1,
        1,
    )  # </s> ends, pads, and is all of ""


def test_odd_prompts_have_an_embedding(encoder: PublishedSiglip) -> None:
    found = encoder.encode_text(["", "!!!", "half a pair \ud83c", "a photo </s>", "<unk>", "x" * 10_000])
    assert torch.allclose(found.norm(dim=1), torch.ones(6))


@pytest.mark.parametrize("size", [(224, 224), (300, 180), (90, 130)])
def test_pictures_are_prepared_as_by_the_image_processor(encoder, tmp_path: Path, size) -> None:
    libraries()
    from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil

    image = picture(tmp_path, *size)
    # default_to_square aside these are the published settings: bicubic to 224 x 224, mean and deviation 0.5
    theirs = torch.from_numpy(np.stack(SiglipImageProcessorPil()(image)["pixel_values"]))
    ours = encoder.prepare(as_tensor(image))
    assert ours.shape == theirs.shape == (1, 3, 224, 224)
    # Theirs is rounded to whole levels after each direction of resizing; a level is 2 / 255.
    assert (ours - theirs).abs().max() < (1e-6 if size == (224, 224) else 1.5 * 2 / 255)
    assert (ours - theirs).abs().mean() < 0.3 * 2 / 255


def test_embeddings_are_the_networks_own(encoder: PublishedSiglip, tmp_path: Path) -> None:
    image = as_tensor(picture(tmp_path, 224, 224))
    with torch.no_grad():
        text = encoder.model.get_text_features(input_ids=encoder.tokenize(PHRASES)).pooler_output
        seen = encoder.model.get_image_features(pixel_values=image * 2 - 1).pooler_output
        both = encoder.model(input_ids=encoder.tokenize(PHRASES), pixel_values=image * 2 - 1)
        assert torch.allclose(encoder.encode_text(PHRASES), text / text.norm(dim=1, keepdim=True), atol=1e-6)
        assert torch.allclose(encoder.encode_image(image), seen / seen.norm(dim=1, keepdim=True), atol=1e-6)
    assert torch.allclose(encoder.encode_text(PHRASES), both.text_embeds, atol=1e-6)
    assert torch.allclose(encoder.encode_image(image), both.image_embeds, atol=1e-6)


def test_pictures_have_gradients(encoder: PublishedSiglip) -> None:
    image = torch.rand(2, 3, 70, 90, requires_grad=True)
    encoder.encode_image(image)[:, 0].sum().backward()
    assert image.grad is not None and (image.grad.abs().amax((1, 2, 3)) > 0).all()


# The auto-encoders.


@pytest.mark.parametrize("name", BACKBONES)
def test_latents_and_pictures_are_those_of_diffusers(loaded, tmp_path: Path, name: str) -> None:
    diffusers = libraries()[1]
    ours, vae = loaded[0][name].autoencoder, loaded[0][name].autoencoder.vae
    processor = diffusers.image_processor.VaeImageProcessor(vae_scale_factor=8)
    image = picture(tmp_path, 96, 64)
    with torch.no_grad():
        if name == "siglip-sd":
            theirs = vae.encode(processor.preprocess(image)).latent_dist.mean * 0.18215
        else:
            theirs = vae.encode(processor.preprocess(image)).latents
        latent = ours.encode(as_tensor(image))
        assert latent.shape == (1, 4, 8, 12)
        assert torch.allclose(latent, theirs, atol=1e-6)
        decoded = vae.decode(theirs / vae.config.scaling_factor).sample
        wanted = processor.postprocess(decoded, output_type="pt")
        assert torch.allclose(ours.decode(theirs).clamp(0, 1), wanted, atol=1e-6)
        assert wanted.std() > 0
        # A size that is no multiple of 8, twice: padded, cut, the same each time.
        odd = torch.rand(2, 3, 51, 37)
        again = [ours.decode(ours.encode(odd), (51, 37)) for _ in range(2)]
    assert again[0].shape == odd.shape and torch.equal(*again)


def test_the_attention_of_older_files_has_other_names(cache: Path, tmp_path: Path, monkeypatch) -> None:
    """Stable Diffusion's auto-encoders were published before diffusers renamed its attention."""
    from safetensors.torch import load_file, save_file

    copy = tmp_path / "cache"
    shutil.copytree(cache, copy)
    file = copy / "weights" / "sd-vae-ft-mse" / "diffusion_pytorch_model.safetensors"
    names = {".to_q.": ".query.", ".to_k.": ".key.", ".to_v.": ".value.", ".to_out.0.": ".proj_attn."}
    old = {}
    for key, value in load_file(file).items():
        for new, former in names.items():
            key = key.replace(new, former)
        old[key] = value
    assert sum(".query." in key for key in old) == 4
    save_file(old, file)
    file.with_name(file.name + ".sha256").unlink(missing_ok=True)  # the digest it had at first
    monkeypatch.setenv("STYLIZE_CACHE", str(copy))
    image = torch.rand(1, 3, 32, 32)
    with torch.no_grad():
        found = load_backbone("siglip-sd")[0].autoencoder.encode(image)
        monkeypatch.setenv("STYLIZE_CACHE", str(cache))
        assert torch.equal(found, load_backbone("siglip-sd")[0].autoencoder.encode(image))


# Files.


def test_what_is_missing_or_of_another_kind_is_one_line(cache: Path, tmp_path: Path, monkeypatch) -> None:
    from safetensors.torch import load_file, save_file

    copy = tmp_path / "cache"
    shutil.copytree(cache, copy, ignore=shutil.ignore_patterns("*.sha256"))
    monkeypatch.setenv("STYLIZE_CACHE", str(copy))

    def refused() -> str:
        with pytest.raises(WeightsError) as caught:
            load_backbone("siglip-sd")
        for record in copy.rglob("*.sha256"):
            record.unlink()
        assert "\n" not in str(caught.value)
        return str(caught.value)

    model = copy / "weights" / "siglip-base-patch16-224" / "model.safetensors"
    tensors = load_file(model)
    save_file({k: v for k, v in tensors.items() if k != "vision_model.head.probe"}, model)
    assert "not a SiglipModel (1 tensors differ: vision_model.head.probe)" in refused()
    save_file(tensors | {"vision_model.head.probe": torch.zeros(1, 1, 7)}, model)
    assert "not a SiglipModel" in refused()
    model.unlink()
    (model.parent / "pytorch_model.bin").write_bytes(b"a pickle")  # not even looked at
    assert "siglip-base-patch16-224" in refused() and "model.safetensors" in refused()
    (copy / "weights" / "sd-vae-ft-mse" / "config.json").write_text('{"block_out_channels": 7}')
    assert "not a AutoencoderKL" in refused()


# The fusion module.


def test_it_starts_at_the_photograph_from_its_seed_and_is_refined(loaded) -> None:
    painter, encoder = loaded[0]["siglip-sd"], loaded[1]
    noise = torch.Generator().manual_seed(0)
    photo, style = torch.rand(1, 3, 128, 136, generator=noise), encoder.encode_text(["Paul Gauguin style"])
    with torch.no_grad():
        plain = painter.autoencoder.decode(painter.autoencoder.encode(photo), (128, 136))
        assert torch.equal(painter.paint(photo, style), plain)
    assert painter.fusion.config.latent == 4 and painter.fusion.config.embedding == 32

    first, again, other = (load_backbone("siglip-sd", seed)[0].fusion.stem.weight for seed in (0, 0, 1))
    assert torch.equal(first, again) and not torch.equal(first, other)

    losses: list[float] = []
    how = Refinement(iterations=3, crops=1, lr=1e-2)
    painter.fusion = refine(painter, encoder, photo, style, how, lambda _, loss: losses.append(loss))
    assert min(losses) < losses[0]
    with torch.no_grad():
        assert not torch.equal(painter.paint(photo, style), plain)
