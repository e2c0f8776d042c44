"""The training of the text-guided networks, run for real on small pictures; prompts; refinement."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from text_kit import NETWORK, TINY_MAMBA, captioned, text_data, tiny_autoencoder, tiny_siglip
from training_kit import NumbersSent, changed, run, same

from stylecli.errors import InputError, UsageError
from stylecli.models.registry import load_network, load_painter, training_record
from stylecli.models.style_mamba.model import StyleMamba
from stylecli.models.style_mamba.painter import TextPainter
from stylecli.paint.adapt import Refinement, refine
from stylecli.training.checkpoint import save_release
from stylecli.training.data import list_images, read_rgb, to_tensor
from stylecli.training.parallel import Worker
from stylecli.training.prompts import PHOTOGRAPHS, Prompts, held_out, read_manifest
from stylecli.training.recipe import parse_recipe
from stylecli.training.tasks.style_mamba import StyleMambaTask

CPU = Worker(0, 1, torch.device("cpu"))
TINY_AUTOENCODER = {
    "task": "autoencoder",
    "steps": 4,
    "batch": 2,
    "device": "cpu",
    "dtype": "fp32",
    "save_every": 2,
    "data": {"images": ["style"]},
    "crops": {"size": 32},
    "network": {"latent": 4, "coarse": 8, "fine": 8},
}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return text_data(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def trained(data):
    return run(
        data, TINY_MAMBA, "trained", optimizer__lr=0.01, data__val_content="content", data__val_style="style"
    )


def test_the_decoder_learns_with_the_network_and_is_used_with_it(data, trained):
    assert isinstance(load_network(trained, "style-mamba"), StyleMamba)
    assert training_record(trained)["step"] == 4
    before, after = (
        load_file(data / "ae.safetensors"),
        load_file(trained.with_name("autoencoder.safetensors")),
    )
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    assert moved and all(name.startswith("decoder.") for name in moved)
    painter = load_painter("stylemamba-s", trained).network
    assert torch.equal(painter.autoencoder.decoder.linear.weight, after["decoder.linear.weight"].float())
    assert trained.with_name("sheet-000004.png").exists()


@pytest.mark.parametrize("how", [{}, {"dtype": "bf16"}], ids=["float32", "bfloat16"])
def test_an_interrupted_run_resumes_exactly(data, trained, how, monkeypatch):
    whole = run(data, TINY_MAMBA, "whole", **how) if how else trained
    changes = how or {"optimizer__lr": 0.01, "data__val_content": "content", "data__val_style": "style"}
    terms = StyleMambaTask.terms

    def interrupted(self, batch, step):
        if step == 3:
            raise KeyboardInterrupt
        return terms(self, batch, step)

    with monkeypatch.context() as patch:
        patch.setattr(StyleMambaTask, "terms", interrupted)
        with pytest.raises(KeyboardInterrupt):
            run(data, TINY_MAMBA, f"parts-{len(how)}", **changes)
    parts = run(data, TINY_MAMBA, f"parts-{len(how)}", **changes)
    assert same(whole, parts)
    assert same(whole.with_name("autoencoder.safetensors"), parts.with_name("autoencoder.safetensors"))


def test_it_goes_on_where_a_network_that_knew_phrases_alone_ended(data, tmp_path):
    torch.manual_seed(1)
    before = StyleMamba(NETWORK)
    save_release(tmp_path / "before.safetensors", before.state_dict(), NETWORK.to_json(), {})
    path = run(
        data,
        TINY_MAMBA,
        "after",
        warm_start=str(tmp_path / "before.safetensors"),
        steps=1,
        optimizer__lr=1e-9,
        network__code=12,
        network__experts=2,
    )
    after = load_network(path, "style-mamba")
    assert torch.allclose(after.stem.weight, before.stem.weight, atol=1e-3)
    wide, narrow = after.norm_out.correction.weight, before.norm_out.correction.weight
    assert torch.allclose(wide[:, :8], narrow, atol=1e-3) and wide[:, 8:].abs().sum() > 0
    known = load_file(data / "after" / "artworks.safetensors")
    styles = torch.cat([known["vectors"].float(), torch.zeros(8, 384)], 1)
    said = known["embeddings"][known["said"][:, 0].long()].float()
    learned = [0, 1, 2, 4, 5, 6]  # the others are held out
    with torch.no_grad():
        new, old = after.style_code(styles[learned])[:, :8], before.style_code(said[learned])
        assert float((new - old).square().mean()) < 0.5 * float((old.mean(0) - old).square().mean())
    # What is known of the artworks was kept: their reader and the text-image encoder are not needed again.
    run(data, TINY_MAMBA, "again", data__known="after/artworks.safetensors", data__siglip="none", steps=1)
    # Nor is the latter where the file keeps no vectors, to be small.
    file = data / "after" / "artworks.safetensors"
    with safe_open(file, "pt") as stored:
        save_file(known | {"vectors": known["vectors"][:0]}, data / "small.safetensors", stored.metadata())
    small = StyleMambaTask(
        parse_recipe(changed(TINY_MAMBA, data__known="small.safetensors"), "recipe", data), CPU, tmp_path
    )
    assert torch.equal(small.vectors, known["vectors"])
    with pytest.raises(InputError, match="not what is known of artworks"):
        run(data, TINY_MAMBA, "bad", data__known="ae.safetensors")


def test_the_decoder_leaves_out_its_grid_and_keeps_all_else(data, tmp_path):
    torch.manual_seed(1)
    others = ("content", "style", "strokes", "tv", "reconstruction", "range")
    save_release(tmp_path / "before.safetensors", StyleMamba(NETWORK).state_dict(), NETWORK.to_json(), {})
    table = changed(
        TINY_MAMBA,
        warm_start=str(tmp_path / "before.safetensors"),
        freeze=["network."],
        network=TINY_MAMBA["network"] | {"style": 0},
        losses={"lattice": 2.0, "kept": 20.0} | dict.fromkeys(others, 0.0),
    )
    task = StyleMambaTask(parse_recipe(table, "recipe", data), CPU, tmp_path)
    task.begin()
    assert float(task.terms(task.batch(0), 0)["kept"].detach()) == 0  # it begins where it began
    # A grid of 4 pixels is not missed, a shade is.
    cells = torch.zeros(1, 3, 4, 4)
    cells[..., 0, 0], cells[..., 2, 1] = 0.5, -0.5
    batch = task.batch(0)
    with torch.no_grad():
        output, *more = task.paint(batch.content, task.style_vectors(batch), 0)
    grid = cells.repeat(1, 1, *(n // 4 for n in output.shape[2:]))
    assert float(task.more_terms((output + grid, *more), batch)["kept"]) < 1e-6
    assert float(task.more_terms((output + 0.1, *more), batch)["kept"]) > 0.09

    path = run(data, table, "decoder", optimizer__lr=0.01)
    network = load_network(path, "style-mamba").state_dict()  # of eight bits
    began = load_network(tmp_path / "before.safetensors", "style-mamba").state_dict()
    moved = {n: float((network[n] - v).abs().max() / (v.abs().max() + 1e-6)) for n, v in began.items()}
    assert max(moved.values()) < 0.01, moved
    before, after = load_file(data / "ae.safetensors"), load_file(path.with_name("autoencoder.safetensors"))
    assert any(not torch.equal(before[name], after[name]) for name in before if name.startswith("decoder."))


def test_a_step_can_be_recorded(data, tmp_path, monkeypatch):
    """A graphics card records painting as a CUDA graph, which may send no numbers there."""
    monkeypatch.setenv("STYLIZE_KERNELS", "off")  # those of the CPU may
    task = StyleMambaTask(parse_recipe(TINY_MAMBA, "recipe", data), CPU, tmp_path)
    batch = task.batch(0)
    style = task.style_vectors(batch)
    with NumbersSent() as sent:
        task.paint(batch.content, style, None)[0].sum().backward()
    assert not sent.count


def test_artworks_that_are_held_out_are_never_drawn(data, tmp_path):
    task = StyleMambaTask(parse_recipe(TINY_MAMBA, "recipe", data), CPU, tmp_path)
    assert task.gallery.left_out == {3, 7}
    assert {n for step in range(40) for n in task.batch(step).drawn} == {0, 1, 2, 4, 5, 6}


def test_the_autoencoder_learns(data):
    path = run(data, TINY_AUTOENCODER, "autoencoder", data__val=["style"])
    assert training_record(path)["psnr"] > 20
    for changes, says in (
        ({"crops__size": 30}, "multiples of 4"),
        ({"crops__size": 0}, "multiples of 4"),
        ({"losses__latent": 0.3}, r"losses\.latent: not without data\.teacher"),
    ):
        with pytest.raises(UsageError, match=says):
            run(data, TINY_AUTOENCODER, "bad", **changes)


@pytest.mark.usefixtures("trained")
def test_a_cheaper_autoencoder_learns_the_latents_and_the_pictures_of_another(data):
    table = changed(
        TINY_AUTOENCODER,
        data={
            "images": ["content"],
            "teacher": "ae.safetensors",
            "fusion": "trained/release.safetensors",
            "siglip": "siglip.safetensors",
        },
        losses={"kl": 0, "latent": 1.0, "spread": 0.1},
        optimizer={"lr": 0.01, "decay_from": 1.0, "warm_up": 20},
        ema=0.9,
        network__fine_block=False,
    )
    teacher = load_network(data / "ae.safetensors", "autoencoder")
    picture = to_tensor(read_rgb(list_images([data / "content"])[0]))[None]

    def distances(steps):
        pupil = load_network(run(data, table, f"pupil-{steps}", steps=steps), "autoencoder")
        assert pupil.encoder.fine is None and pupil.decoder.fine is None
        with torch.inference_mode():
            latent = teacher.encode(picture)
            apart = pupil.encode(picture) - latent, pupil.decode(latent) - teacher.decode(latent)
            return [float(d.abs().mean()) for d in apart]

    assert all(late < 0.4 * early for early, late in zip(distances(1), distances(100), strict=True))


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


@pytest.mark.parametrize("vector", [0, 24])
def test_refinement_moves_towards_the_prompt_and_repeats(vector):
    torch.manual_seed(0)
    siglip = tiny_siglip()
    network = StyleMamba(replace(NETWORK, style=vector, components=8, hidden=16))
    painter = TextPainter(network, tiny_autoencoder(), siglip.encode_text(["a photo"]))
    photo = torch.rand(1, 3, 64, 64)
    style = torch.cat([torch.randn(1, vector), siglip.encode_text(["monet style"])], 1)
    how, seen = Refinement(iterations=12, crops=3, lr=3e-3), []
    before = {k: v.clone() for k, v in painter.fusion.state_dict().items()}
    one = refine(painter, siglip, photo, style, how, lambda i, loss: seen.append(loss))
    two = refine(painter, siglip, photo, style, how)
    assert len(seen) == 12
    assert min(seen[6:]) < seen[0]
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), two.parameters(), strict=True))
    assert all(torch.equal(v, before[k]) for k, v in painter.fusion.state_dict().items())
