"""Tiny random networks made by transformers and diffusers, saved as the real ones are published."""

import io
from pathlib import Path

import pytest

REASON = "needs the extra: pip install 'stylecli[backbones]'"
PHRASES = [
    "a photo",
    "Paul Gauguin style",
    "Claude Monet painting of a rock",
    "line sketch",
    "woven carpet, red",
]


def libraries():
    """(transformers, diffusers); skips the test where they are not installed."""
    for name in ("sentencepiece", "google.protobuf"):
        pytest.importorskip(name, reason=REASON)
    return pytest.importorskip("transformers", reason=REASON), pytest.importorskip("diffusers", reason=REASON)


def vocabulary() -> bytes:
    """A SentencePiece model with the special tokens of SigLIP's: <pad> 0, </s> 1, <unk> 2."""
    import sentencepiece

    buffer = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter([phrase.lower() for phrase in PHRASES]),
        model_writer=buffer,
        vocab_size=60,
        hard_vocab_limit=False,
        pad_id=0,
        eos_id=1,
        unk_id=2,
        bos_id=-1,
        minloglevel=2,
    )
    return buffer.getvalue()


def save_stand_ins(weights: Path) -> Path:
    """Write siglip-base-patch16-224, sd-vae-ft-mse and taesd into ``weights``; returns it."""
    import torch

    transformers, diffusers = libraries()
    tower = {
        "hidden_size": 32,
        "intermediate_size": 32,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
    }
    torch.manual_seed(0)
    config = transformers.SiglipConfig(
        text_config=tower | {"vocab_size": 60, "bos_token_id": 0, "eos_token_id": 1},
        vision_config=tower | {"image_size": 224, "patch_size": 32},
    )
    siglip = weights / "siglip-base-patch16-224"
    transformers.SiglipModel(config).save_pretrained(siglip)
    (siglip / "spiece.model").write_bytes(vocabulary())
    tokenizer = transformers.SiglipTokenizer(str(siglip / "spiece.model"), model_input_names=["input_ids"])
    tokenizer.save_pretrained(siglip)
    widths = (8, 8, 8, 8)
    diffusers.AutoencoderKL(
        block_out_channels=widths,
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        norm_num_groups=4,
    ).save_pretrained(weights / "sd-vae-ft-mse")
    diffusers.AutoencoderTiny(
        encoder_block_out_channels=widths,
        decoder_block_out_channels=widths,
        num_encoder_blocks=(1, 1, 1, 1),
        num_decoder_blocks=(1, 1, 1, 1),
    ).save_pretrained(weights / "taesd")
    return weights
