"""The training of the text-guided networks, run for real on small pictures; prompts; refinement."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from text_kit import NETWORK, captioned, tiny_autoencoder, tiny_mamba_run, tiny_siglip
from training_kit import pictures

from stylecli.errors import InputError, UsageError
from stylecli.models.autoencoder.config import AutoencoderConfig
from stylecli.models.registry import load_network, load_painter, training_record
from stylecli.models.style_mamba.model import StyleMamba
from stylecli.models.style_mamba.painter import TextPainter
from stylecli.paint.adapt import Refinement, refine
from stylecli.training import autoencoder, mamba
from stylecli.training.data import list_images, read_rgb, to_tensor
from stylecli.training.prompts import PHOTOGRAPHS, Prompts, held_out, read_manifest


def same(a, b):
    a, b = load_file(a), load_file(b)
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


def test_an_interrupted_run_resumes_exactly(tmp_path):
    whole = mamba.train(tiny_mamba_run(tmp_path, out=tmp_path / "whole", decay_from=1.0))
    mamba.train(tiny_mamba_run(tmp_path, out=tmp_path / "parts", decay_from=1.0, steps=2))
    parts = mamba.train(tiny_mamba_run(tmp_path, out=tmp_path / "parts", decay_from=1.0))
    assert same(whole, parts)
    assert isinstance(load_network(whole, "style-mamba"), StyleMamba)
    assert training_record(whole)["step"] == 4


def test_bfloat16_teaches_nearly_the_same(tmp_path):
    exact = load_file(mamba.train(tiny_mamba_run(tmp_path, out=tmp_path / "exact", steps=2)))
    coarse = load_file(mamba.train(tiny_mamba_run(tmp_path, out=tmp_path / "coarse", steps=2, bf16=True)))
    difference = max((exact[k].float() - coarse[k].float()).abs().max() for k in exact)
    assert 0 < difference < 0.01


def test_the_decoder_learns_with_the_network_and_is_used_with_it(tmp_path):
    config = tiny_mamba_run(tmp_path, out=tmp_path / "run", lr=0.01)
    trained = mamba.train(config)
    before, after = load_file(config.autoencoder), load_file(trained.with_name("autoencoder.safetensors"))
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed and all(name.startswith("decoder.") for name in changed)
    painter = load_painter("stylemamba-s", trained).network
    assert torch.equal(painter.autoencoder.decoder.linear.weight, after["decoder.linear.weight"].float())


def test_sheets_are_drawn_and_wrong_sizes_refused(tmp_path):
    config = tiny_mamba_run(tmp_path, out=tmp_path / "run", steps=1, sheet_every=1)
    mamba.train(replace(config, val_content=config.content[0]))
    assert (tmp_path / "run" / "sheet-000001.png").exists()
    with pytest.raises(UsageError, match="multiples of 32"):
        mamba.train(replace(config, crop=100))


def test_the_autoencoder_learns_and_resumes_exactly(tmp_path):
    settings = autoencoder.AutoencoderTraining(
        images=[pictures(tmp_path / "pictures", 3)],
        val=[tmp_path / "pictures"],
        batch=2,
        crop=32,
        decay_from=1.0,
        save_every=2,
        network=AutoencoderConfig(latent=4, coarse=8, fine=8),
    )
    whole = autoencoder.train(replace(settings, out=tmp_path / "whole", steps=4))
    autoencoder.train(replace(settings, out=tmp_path / "parts", steps=2))
    parts = autoencoder.train(replace(settings, out=tmp_path / "parts", steps=4))
    assert same(whole, parts)
    assert training_record(whole)["psnr"] > 20


def test_a_cheaper_autoencoder_learns_the_latents_and_the_pictures_of_another(tmp_path):
    config = tiny_mamba_run(tmp_path, steps=1)
    fusion = mamba.train(config)
    settings = autoencoder.AutoencoderTraining(
        images=config.content,
        batch=2,
        crop=32,
        lr=0.01,
        decay_from=1.0,
        ema=0.9,
        latent_weight=1.0,
        teacher=(config.autoencoder, fusion, config.siglip),
        network=AutoencoderConfig(latent=4, coarse=8, fine=8, fine_block=False),
    )
    teacher = load_network(config.autoencoder, "autoencoder")
    picture = to_tensor(read_rgb(list_images(config.content)[0]))[None]

    def distances(steps):
        path = autoencoder.train(replace(settings, out=tmp_path / f"{steps}", steps=steps))
        pupil = load_network(path, "autoencoder")
        assert pupil.encoder.fine is None and pupil.decoder.fine is None
        with torch.inference_mode():
            latent = teacher.encode(picture)
            apart = pupil.encode(picture) - latent, pupil.decode(latent) - teacher.decode(latent)
            return [float(d.abs().mean()) for d in apart]

    assert all(late < 0.3 * early for early, late in zip(distances(1), distances(150), strict=True))


def test_prompts_stand_for_their_artworks_and_held_out_ones_are_not_seen(tmp_path):
    captioned(tmp_path)
    prompts = Prompts(tmp_path)
    assert held_out(read_manifest(tmp_path)) == {"style/3.png", "style/7.png"}
    assert {path.name for path in prompts.paths} == {f"{i}.png" for i in (0, 1, 2, 4, 5, 6)}
    rng = np.random.default_rng(0)
    for _ in range(50):
        prompt, artworks = prompts.draw(rng, 2)
        assert len(set(artworks)) == len(artworks) == 2
        names = {prompts.paths[i].name for i in artworks}
        assert "Monet" not in prompt or names <= {"0.png", "1.png", "2.png"}
        assert "rock" not in prompt or names <= {"4.png", "5.png", "6.png"}
    assert set(PHOTOGRAPHS) < set(prompts.sayings())
    with pytest.raises(InputError, match=r"manifest\.csv"):
        Prompts(tmp_path / "style")


def test_refinement_moves_towards_the_prompt_and_repeats():
    torch.manual_seed(0)
    siglip = tiny_siglip()
    painter = TextPainter(StyleMamba(NETWORK), tiny_autoencoder(), siglip.encode_text(["a photo"]))
    photo, style = torch.rand(1, 3, 64, 64), siglip.encode_text(["monet style"])
    how, seen = Refinement(iterations=12, crops=3, lr=3e-3), []
    before = {k: v.clone() for k, v in painter.fusion.state_dict().items()}
    one = refine(painter, siglip, photo, style, how, lambda i, loss: seen.append(loss))
    two = refine(painter, siglip, photo, style, how)
    assert len(seen) == 12
    assert min(seen[6:]) < seen[0]
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), two.parameters(), strict=True))
    assert all(torch.equal(v, before[k]) for k, v in painter.fusion.state_dict().items())
