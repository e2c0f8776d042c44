"""The training of the text-image encoder, run for real on a tiny scale."""

import pytest
import torch
from siglip_kit import (
    COLOURS,
    TINY_IMAGE,
    TINY_TEXT,
    WIDTH,
    captioned_pictures,
    random_teacher,
    siglip_data,
)
from training_kit import run, same

from stylecli.errors import InputError, UsageError, WeightsError
from stylecli.models.registry import training_record
from stylecli.models.siglip import load_siglip
from stylecli.training.minilm import MiniLm
from stylecli.training.phrases import Labels, describe, phrases, read_manifest
from stylecli.training.tasks.siglip_image import sigmoid_loss
from stylecli.training.tasks.siglip_text import SiglipTextTask, spherical_means
from stylecli.training.zero_shot import CLASSES, held_out


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return siglip_data(tmp_path_factory.mktemp("data"))


def test_both_towers_learn(data):
    run(data, TINY_TEXT, "text", steps=80)
    image = run(
        data, TINY_IMAGE, "image", steps=60, optimizer__lr=5e-3, warm_start="text/release.safetensors"
    )
    record = training_record(image)
    assert record["warm_start"]["held_out_cosine"] > 0.7
    assert record["recipe"]["task"] == "siglip-image"
    model, teacher = load_siglip(image), MiniLm(data / "teacher")
    assert 0 < model.config.threshold < 1
    prompts = [f"{name} texture" for name in COLOURS]
    assert (model.encode_text(prompts) * teacher.encode(prompts)).sum(1).min() > 0.6
    # Each colour's pictures are closest to that colour's caption.
    pictures = torch.stack(
        [torch.tensor(c)[:, None, None].expand(3, 56, 56) / 255 for c in COLOURS.values()]
    ) + 0.1 * torch.randn(3, 3, 56, 56, generator=torch.Generator().manual_seed(0))
    likeness = model.encode_image(pictures.clamp(0, 1)) @ model.encode_text(prompts).T
    assert likeness.argmax(1).tolist() == [0, 1, 2]


def test_an_interrupted_run_resumes_exactly(data, monkeypatch):
    whole = run(data, TINY_TEXT, "whole")
    (data / "parts").mkdir()
    (data / "parts" / "vocabulary.txt").write_text((data / "whole" / "vocabulary.txt").read_text())
    terms = SiglipTextTask.terms

    def interrupted(self, chosen, step):
        if step == 4:
            raise KeyboardInterrupt
        return terms(self, chosen, step)

    with monkeypatch.context() as patch:
        patch.setattr(SiglipTextTask, "terms", interrupted)
        with pytest.raises(KeyboardInterrupt):
            run(data, TINY_TEXT, "parts")
    assert same(whole, run(data, TINY_TEXT, "parts"))


def test_what_cannot_be_trained_on_is_named(data, tmp_path):
    captioned_pictures(tmp_path / "captioned")
    (tmp_path / "captioned" / "red0.png").write_text("no picture")
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "manifest.csv").write_text("file,kind\na.png,style\n")
    run(data, TINY_TEXT, "begin", steps=1)
    begun = {"warm_start": str(data / "begin" / "release.safetensors")}
    for table, changes, kind, says in (
        (TINY_TEXT, {"data__teacher": "captioned"}, WeightsError, "no sentence encoder"),
        (TINY_TEXT, {"data__captioned": "teacher"}, InputError, r"manifest\.csv: cannot be read"),
        (TINY_TEXT, {"data__captioned": str(tmp_path / "bad")}, InputError, "has no column"),
        (TINY_TEXT, {"workers": 2}, UsageError, "takes a single one"),
        (TINY_IMAGE, {}, UsageError, "warm_start is missing"),
        (TINY_IMAGE, {"batch": 100, **begun}, UsageError, "has 18 pictures"),
        (TINY_IMAGE, {"data__captioned": str(tmp_path / "captioned"), **begun}, InputError, r"red0\.png"),
    ):
        with pytest.raises(kind, match=says):
            run(data, table, "bad", **changes)


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
