"""The training of the text-image encoder, run for real on a tiny scale."""

import pytest
import torch
from safetensors.torch import load_file
from siglip_kit import COLOURS, WIDTH, captioned_pictures, random_teacher, tiny_siglip_run

from stylecli.errors import InputError, WeightsError
from stylecli.models.registry import training_record
from stylecli.models.siglip import load_siglip
from stylecli.training.contrast import sigmoid_loss
from stylecli.training.distil import spherical_means
from stylecli.training.minilm import MiniLm
from stylecli.training.phrases import Labels, describe, phrases, read_manifest
from stylecli.training.siglip import learning_rate, train
from stylecli.training.zero_shot import CLASSES, held_out


def same(a, b):
    a, b = load_file(a), load_file(b)
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


def test_both_towers_learn(tmp_path):
    config = tiny_siglip_run(
        tmp_path,
        out=tmp_path / "run",
        text_steps=80,
        image_steps=60,
        text_lr=3e-3,
        image_lr=5e-3,
        save_every=100,
    )
    path = train(config)
    record = training_record(path)
    assert record["text"]["held_out_cosine"] > 0.7
    model, teacher = load_siglip(path), MiniLm(config.teacher)
    assert 0 < model.config.threshold < 1
    prompts = [f"{name} texture" for name in COLOURS]
    assert (model.encode_text(prompts) * teacher.encode(prompts)).sum(1).min() > 0.6
    # Each colour's pictures are closest to that colour's caption.
    pictures = torch.stack(
        [torch.tensor(c)[:, None, None].expand(3, 56, 56) / 255 for c in COLOURS.values()]
    ) + 0.1 * torch.randn(3, 3, 56, 56, generator=torch.Generator().manual_seed(0))
    likeness = model.encode_image(pictures.clamp(0, 1)) @ model.encode_text(prompts).T
    assert likeness.argmax(1).tolist() == [0, 1, 2]


def test_an_interrupted_run_resumes_exactly(tmp_path, monkeypatch):
    whole = train(tiny_siglip_run(tmp_path, out=tmp_path / "whole"))
    from stylecli.training import contrast, distil

    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / "vocabulary.txt").write_text((tmp_path / "whole" / "vocabulary.txt").read_text())
    for phase, step in ((distil.Distillation, 4), (contrast.Contrast, 5)):
        terms = phase.terms

        def interrupted(self, number, terms=terms, step=step):
            if number == step:
                raise KeyboardInterrupt
            return terms(self, number)

        with monkeypatch.context() as patch:
            patch.setattr(phase, "terms", interrupted)
            with pytest.raises(KeyboardInterrupt):
                train(tiny_siglip_run(tmp_path, out=tmp_path / "parts"))
    assert same(whole, train(tiny_siglip_run(tmp_path, out=tmp_path / "parts")))


def test_what_cannot_be_trained_on_is_named(tmp_path):
    config = tiny_siglip_run(tmp_path, out=tmp_path / "run")
    with pytest.raises(WeightsError, match="no sentence encoder"):
        train(tiny_siglip_run(tmp_path, out=tmp_path / "run", teacher=tmp_path))
    with pytest.raises(InputError, match=r"manifest\.csv: cannot be read"):
        train(tiny_siglip_run(tmp_path, out=tmp_path / "run", data=tmp_path))
    (config.data / "red0.png").write_text("no picture")
    with pytest.raises(InputError, match=r"red0\.png"):
        train(config)
    (config.data / "manifest.csv").write_text("file,kind\na.png,style\n")
    with pytest.raises(InputError, match="has no column"):
        train(config)


def test_the_teacher_is_a_bert(tmp_path):
    """Against torch's own post-norm encoder layers, with the same numbers in them."""
    teacher = MiniLm(random_teacher(tmp_path / "teacher"))
    w = teacher.weights
    x = w["embeddings.word_embeddings.weight"][torch.tensor([2, 7, 8, 9, 3])][None]
    x = x + w["embeddings.position_embeddings.weight"][:5] + w["embeddings.token_type_embeddings.weight"][0]
    norm = "embeddings.LayerNorm."
    x = torch.nn.functional.layer_norm(x, (WIDTH,), w[norm + "weight"], w[norm + "bias"], 1e-12)
    for layer in range(2):
        own = torch.nn.TransformerEncoderLayer(
            WIDTH, 12, 48, 0.0, "gelu", layer_norm_eps=1e-12, batch_first=True
        ).eval()
        p = f"encoder.layer.{layer}."
        names = {
            "self_attn.out_proj": "attention.output.dense",
            "linear1": "intermediate.dense",
            "linear2": "output.dense",
            "norm1": "attention.output.LayerNorm",
            "norm2": "output.LayerNorm",
        }
        state = {f"{a}.{k}": w[f"{p}{b}.{k}"] for a, b in names.items() for k in ("weight", "bias")}
        for k in ("weight", "bias"):
            parts = [w[f"{p}attention.self.{n}.{k}"] for n in ("query", "key", "value")]
            state[f"self_attn.in_proj_{k}"] = torch.cat(parts)
        own.load_state_dict(state)
        with torch.no_grad():
            x = own(x)
    expected = torch.nn.functional.normalize(x.mean(1), dim=1)[0]
    words = teacher.tokenizer.decode([7, 8, 9])
    found = teacher.encode([words, "the", "blue water", words])  # of several lengths, in this order
    assert torch.allclose(found[0], expected, atol=1e-5)
    assert torch.allclose(found[3], expected, atol=1e-5)


def test_phrases_are_many_different_and_the_same_every_time(tmp_path):
    labels = read_manifest(captioned_pictures(tmp_path / "data"))
    one = phrases(0, 2_000, labels, ["zebra", "quartz"])
    assert one == phrases(0, 2_000, labels, ["zebra", "quartz"])
    assert one != phrases(1, 2_000, labels, ["zebra", "quartz"])
    assert len(one) == len(set(one)) == 2_000
    assert {"", "a photograph", "zebra", "red texture"} <= set(one)
    assert not any("{" in text or "|" in text for text in one)


def test_captions_say_what_is_known():
    label = Labels(
        "a.jpg", "style", "Paul Gauguin", "post-impressionism", "", "Tahiti", "a Paul Gauguin painting"
    )
    assert {"paul gauguin style", "post-impressionism", "a paul gauguin painting"} <= set(label.captions())
    photo = Labels("b.jpg", "content", "", "", "", "", "a photo of figs")
    assert "a photo of figs" in photo.captions()
    assert "a photograph" in photo.captions()


def test_captions_computed_from_a_picture():
    dark = torch.tensor([0.05, 0.08, 0.2])[:, None, None].expand(3, 16, 16).clone()
    dark[:, :, :4] = torch.tensor([0.4, 0.25, 0.15])[:, None, None]
    ways = describe(dark)
    assert "a dark picture" in ways
    assert "a dark painting in black and brown" in ways
    assert "black and white" in describe(torch.linspace(0, 1, 256).expand(3, 16, 256))
    assert "vivid colours" in describe(torch.tensor([0.9, 0.1, 0.1])[:, None, None].expand(3, 8, 8))


def test_every_fourth_file_of_a_class_is_kept_out():
    files = [Labels(f"{i:02}.jpg", "style", "Rembrandt", "", "", "", "") for i in range(9)]
    others = [Labels(f"x{i}.jpg", "style", "Nobody", "", "", "", "") for i in range(9)]
    number = [name for name, _ in CLASSES].index("Rembrandt")
    assert held_out([*reversed(files), *others]) == {"03.jpg": number, "07.jpg": number}


def test_sigmoid_loss_by_hand():
    logits = torch.tensor([[2.0, -1.0], [0.0, 3.0]])
    true = torch.tensor([[True, False], [False, True]])
    z = torch.tensor([[1.0, -1.0], [-1.0, 1.0]]) * logits
    assert sigmoid_loss(logits, true).item() == pytest.approx(-z.sigmoid().log().sum().item() / 2, rel=1e-5)


def test_spherical_means_find_clusters():
    generator = torch.Generator().manual_seed(0)
    points = torch.eye(3).repeat(20, 1) + 0.05 * torch.randn(60, 3, generator=generator)
    centres = spherical_means(torch.nn.functional.normalize(points, dim=1), 3)
    assert (centres @ torch.eye(3)).amax(0).min() > 0.99


def test_learning_rate_rises_and_falls():
    rates = [learning_rate(1.0, s, 1000) for s in (0, 100, 500, 999)]
    assert rates[0] < 0.02
    assert rates[1] > 0.97
    assert 0.4 < rates[2] < 0.6
    assert rates[3] < 0.001
