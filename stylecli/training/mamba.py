"""``stylize train mamba``: trains StyleMamba on photographs and on captioned artworks.

One step: crops of photographs through the auto-encoder, a prompt for each, VGG-16 losses on the decoded result: the
style's target is the mean of the statistics of some artworks that the prompt stands for, others every time. A prompt
such as "a photo" is to change nothing. The decoder learns with the network; the encoder is frozen. Before the first
step the style code alone learns, in a minute, which statistics a prompt stands for: otherwise the network takes long
to find out that prompts differ. The paper's directional loss can be added where the text-image encoder has learned
pictures.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from stylecli.errors import UsageError
from stylecli.metrics.ssim import structural_similarity
from stylecli.metrics.vgg import Vgg16
from stylecli.models.autoencoder.model import Autoencoder
from stylecli.models.registry import AUTOENCODER, load_network
from stylecli.models.siglip import Siglip, load_siglip
from stylecli.models.style_mamba.config import StyleMambaConfig
from stylecli.models.style_mamba.model import StyleMamba
from stylecli.paint import guidance
from stylecli.training import losses, parallel
from stylecli.training.checkpoint import RELEASE, State
from stylecli.training.data import ContentCrops, list_images
from stylecli.training.perceptual import (
    Wanted,
    content_features,
    mean_and_spread,
    painting_terms,
)
from stylecli.training.probe import Probed
from stylecli.training.prompt_targets import Targets, all_embeddings, all_statistics
from stylecli.training.prompts import PHOTOGRAPHS, Prompts
from stylecli.training.schedule import cosine
from stylecli.training.sheet import write_prompt_sheet

log = logging.getLogger(__name__)

CHECKPOINT = "checkpoint.safetensors"
_CODE_SIZE, _CODE_RATE = 0.25, 0.03  # root mean square of a code; its learning rate, relative


@dataclass
class MambaTraining:
    """Everything that decides a run; written into every checkpoint.

    Attributes:
        content: folders of photographs. styles: folder with captioned artworks and their ``manifest.csv``.
        vgg, autoencoder, siglip: weights files of the networks that are there; of these, only the decoder learns.
        val_content: pictures of the contact sheets.
        steps, batch, crop, first_crop, first_share, lr, decay_from, workers: as for StyleRWKV.
        artworks: how many artworks give one target. push: see :meth:`Targets.wanted`.
        code_steps: of :func:`teach_code`.
        warm_start: weights to begin with; their style code is learned anew.
        content_weight .. directional_weight: weights of the losses.
    """

    content: list[Path]
    styles: Path
    vgg: Path
    autoencoder: Path
    siglip: Path
    out: Path = Path("runs/mamba")
    val_content: Path | None = None
    steps: int = 8000
    batch: int = 4
    crop: int = 192
    first_crop: int = 160
    first_share: float = 0.7
    lr: float = 1e-3
    decay_from: float = 0.4
    artworks: int = 4
    push: float = 1.6
    code_steps: int = 2500
    content_weight: float = 0.5
    style_weight: float = 2.0
    fine_weight: float = 0.5
    structure_weight: float = 1.0
    identity_weight: float = 1.0
    reconstruction_weight: float = 5.0
    tv_weight: float = 0.02
    range_weight: float = 2.0
    code_weight: float = 0.5
    directional_weight: float = 0.0
    ema: float = 0.998
    seed: int = 0
    device: str = "cpu"
    workers: int = 1
    bf16: bool = False
    save_every: int = 250
    sheet_every: int = 500
    warm_start: Path | None = None
    resume: bool = True
    network: StyleMambaConfig = field(default_factory=StyleMambaConfig)

    @property
    def loss_weights(self) -> dict[str, float]:
        return {
            "content": self.content_weight,
            "style": self.style_weight,
            "fine": self.fine_weight,
            "structure": self.structure_weight,
            "identity": self.identity_weight,
            "reconstruction": self.reconstruction_weight,
            "tv": self.tv_weight,
            "range": self.range_weight,
            "code": self.code_weight,
            "directional": self.directional_weight,
        }

    def crop_at(self, step: int) -> int:
        return self.first_crop if step < self.first_share * self.steps else self.crop

    def record(self) -> dict[str, object]:
        return {k: str(v) if isinstance(v, Path | list) else v for k, v in asdict(self).items()}


@dataclass
class Batch:
    content: Tensor  # (B, 3, crop, crop)
    embedding: Tensor  # (B, E)
    wanted: Wanted


def batches(
    config: MambaTraining, targets: Targets, vgg: Vgg16, start: int, rank: int
) -> Iterator[tuple[int, Batch]]:
    """Steps start .. steps - 1; what a step holds depends on (seed, step) alone, so that a resumed run is exact."""
    size = config.batch // config.workers
    paths = list_images(config.content)
    crops = ContentCrops(paths, config.crop_at(start))
    features: dict[int, list[Tensor]] = {}
    for step in range(start, config.steps):
        crop = config.crop_at(step)
        if crop != crops.crop:
            crops, features = ContentCrops(paths, crop), {}
        rng = np.random.default_rng([config.seed, step, rank])
        content, embedding, wanted, styled = [], [], [], []
        for slot in range(size):
            # Workers draw from disjoint sets, so that what one has computed no other computes again.
            i = int(rng.integers(len(crops) // config.workers)) * config.workers + rank
            prompt, artworks = targets.prompts.draw(rng, config.artworks)
            if step % 2 and rank == 0 and slot == 0:
                prompt = PHOTOGRAPHS[int(rng.integers(len(PHOTOGRAPHS)))]
            image = crops[i][None].to(config.device)
            if i not in features:
                features[i] = content_features(vgg, image)
            content.append(image)
            embedding.append(targets.embeddings[prompt])
            wanted.append((features[i], targets.wanted(artworks)))
            styled.append(float(prompt not in PHOTOGRAPHS))
        kept, style = (
            [torch.cat(layer).to(config.device) for layer in zip(*part, strict=True)]
            for part in zip(*wanted, strict=True)
        )
        window = (int(rng.integers(0, crop // 2 + 1)), int(rng.integers(0, crop // 2 + 1)))
        yield (
            step,
            Batch(
                torch.cat(content),
                torch.stack(embedding).to(config.device),
                Wanted(kept, style, torch.tensor(styled, device=config.device), window),
            ),
        )


def directional_term(output: Tensor, batch: Batch, siglip: Siglip, photo: Tensor) -> Tensor:
    """The paper's directional loss of styled pictures, on a window of half their side."""
    y, x = batch.wanted.window
    side = output.shape[-1] // 2
    with torch.no_grad():
        before = siglip.encode_image(batch.content[..., y : y + side, x : x + side])
    after = siglip.encode_image(output[..., y : y + side, x : x + side])
    loss = guidance.directional_loss(after, before, batch.embedding, photo)
    return (loss * batch.wanted.styled).mean()


def teach_code(
    model: StyleMamba, config: MambaTraining, targets: Targets, steps: int = 2500, batch: int = 48
) -> Probed:
    """Teach the style code and its probe the statistics of prompts, without any picture."""
    means, spreads = mean_and_spread([[layer.float() for layer in targets.statistics]])
    trained = Probed(model, config.network.code, means, spreads)
    parameters = [*model.code.parameters(), *trained.probe.parameters()]
    optimizer = torch.optim.Adam(parameters, lr=2e-3, betas=(0.9, 0.99))
    rng, weight = np.random.default_rng(config.seed), torch.ones(batch)
    for step in tqdm(range(steps), desc="style code", mininterval=10):
        for group in optimizer.param_groups:
            group["lr"] = cosine(2e-3, step, steps, 0.3)
        drawn = [targets.prompts.draw(rng, config.artworks) for _ in range(batch)]
        wanted = [torch.cat(layer) for layer in zip(*(targets.wanted(a) for _, a in drawn), strict=True)]
        code = model.style_code(torch.stack([targets.embeddings[prompt] for prompt, _ in drawn]))
        loss = losses.code_loss(trained.probe(code), wanted, spreads, weight)
        optimizer.zero_grad(set_to_none=True)
        (loss + 1e-3 * code.square().mean()).backward()
        optimizer.step()
        if step % 250 == 0 or step == steps - 1:
            log.info("style code: step %d, loss %.4f", step, float(loss.detach()))
    with torch.no_grad():
        # Small, so that one step of Adam in the many layers that read the code cannot overturn a picture.
        every = model.style_code(torch.stack(list(targets.embeddings.values())))
        scale = _CODE_SIZE / every.square().mean().sqrt()
        last = model.code[-1]
        assert isinstance(last, torch.nn.Linear)
        last.weight.mul_(scale), last.bias.mul_(scale), trained.probe.weight.div_(scale)
    return trained


def train(config: MambaTraining) -> Path:
    """Train and return the path of the released weights. Interrupting is safe: a later call resumes exactly.

    Raises UsageError, InputError or WeightsError, one line, for what cannot be used.
    """
    if config.crop % 32 or config.first_crop % 32:
        raise UsageError(f"crops of {config.first_crop} and {config.crop} pixels must be multiples of 32")
    if config.batch % config.workers:
        raise UsageError(f"a batch of {config.batch} cannot be shared by {config.workers} workers")
    list_images(config.content)
    prompts = Prompts(config.styles)
    config.out.mkdir(parents=True, exist_ok=True)
    statistics = all_statistics(prompts, config.vgg, config.out / "statistics.safetensors", config.device)
    targets = Targets(prompts, statistics, all_embeddings(prompts, load_siglip(config.siglip)), config.push)
    torch.manual_seed(config.seed)
    model = StyleMamba(config.network)
    if config.warm_start:
        known = load_network(config.warm_start, "style-mamba").state_dict()
        model.load_state_dict({k: v for k, v in known.items() if not k.startswith("code.")}, strict=False)
    resuming = config.resume and (config.out / CHECKPOINT).exists()
    trained = teach_code(model, config, targets, steps=1 if resuming else config.code_steps)
    parallel.run(config.workers, _work, config, targets, trained)
    return config.out / RELEASE


def _work(rank: int, config: MambaTraining, targets: Targets, trained: Probed) -> None:
    """The loop of one worker. All workers hold the same weights; the first one writes files."""
    vgg = Vgg16(config.vgg).to(config.device)
    autoencoder = load_network(config.autoencoder, "autoencoder").to(config.device)
    assert isinstance(autoencoder, Autoencoder)
    siglip = load_siglip(config.siglip).to(config.device)
    photo = targets.embeddings[PHOTOGRAPHS[0]][None].to(config.device)
    _, spreads = mean_and_spread([[layer.float() for layer in targets.statistics]])
    spreads = [s.to(config.device) for s in spreads]
    # The decoder learns on with what it is to paint: made for photographs only, it left a weave of its 4 x 4 blocks.
    trained.add_module("autoencoder", autoencoder)
    autoencoder.decoder.requires_grad_(True)
    trained = trained.to(config.device)
    model = trained.network
    assert isinstance(model, StyleMamba)
    parameters = [p for p in trained.parameters() if p.requires_grad]
    # The code is taught already; what painting has to say of it comes through every layer at once.
    slow = [*model.code.parameters(), *trained.probe.parameters()]
    fast = [p for p in parameters if all(p is not q for q in slow)]
    optimizer = torch.optim.Adam([{"params": fast}, {"params": slow}], lr=config.lr, betas=(0.9, 0.99))
    state = State(config.out / CHECKPOINT, trained, optimizer, config.ema)
    if config.resume:
        state.load()
    began = time.monotonic() - state.seconds
    bar = tqdm(total=config.steps, initial=state.step, desc="StyleMamba", mininterval=10, disable=rank > 0)
    weights = {name: weight for name, weight in config.loss_weights.items() if weight}
    for step, batch in batches(config, targets, vgg, state.step, rank):
        for group, share in zip(optimizer.param_groups, (1.0, _CODE_RATE), strict=True):
            group["lr"] = share * cosine(config.lr, step, config.steps, config.decay_from)
        with torch.autocast(config.device.split(":")[0], torch.bfloat16, enabled=config.bf16):
            with torch.no_grad():
                latent = autoencoder.encode(batch.content)
            code = model.style_code(batch.embedding)
            output = autoencoder.decode(model(latent, code, seed=step)).float()
            terms, _ = painting_terms(output, batch.wanted, vgg, spreads)
            identity = (output - batch.content).abs().mean((1, 2, 3)) * (1 - batch.wanted.styled)
            terms["identity"] = identity.mean()
            terms["structure"] = 1 - structural_similarity(output, batch.content).mean()
            terms["reconstruction"] = (autoencoder.decode(latent).float() - batch.content).abs().mean()
            terms["range"] = guidance.out_of_range(output)
            terms["code"] = losses.code_loss(
                trained.probe(code).float(), batch.wanted.style, spreads, batch.wanted.styled
            )
            if config.directional_weight:
                terms["directional"] = directional_term(output, batch, siglip, photo)
        optimizer.zero_grad(set_to_none=True)
        torch.stack([weight * terms[name] for name, weight in weights.items()]).sum().backward()
        parallel.average_gradients(parameters)
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        state.finish_step(terms)
        bar.update()
        last = state.step == config.steps
        if rank:
            continue
        state.seconds = time.monotonic() - began
        if state.step % 50 == 0:
            state.log(config.out / "log.txt")
        if state.step % config.save_every == 0 or last:
            record = {"config": config.record()}
            state.save(record)
            state.release(config.out / RELEASE, config.network.to_json(), record, part="network.")
            state.release(config.out / AUTOENCODER, autoencoder.config.to_json(), record, part="autoencoder.")
        if config.val_content and (state.step % config.sheet_every == 0 or last):
            averaged = StyleMamba(config.network).to(config.device)
            averaged.load_state_dict(state.averaged("network."))
            decoding = Autoencoder(autoencoder.config).to(config.device)
            decoding.load_state_dict(state.averaged("autoencoder."))
            write_prompt_sheet(
                config.out / f"sheet-{state.step:06d}.png", config.val_content, averaged, decoding, siglip
            )
    bar.close()
