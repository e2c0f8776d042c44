"""Training of StyleMamba on photographs and on captioned artworks.

One step: crops of photographs through the auto-encoder, a prompt for each, VGG-16 losses on the decoded result: the
style's target is the mean of the statistics of some artworks that the prompt stands for, others every time. A prompt
such as "a photo" is to change nothing. The decoder learns with the network; the encoder is frozen. Before the first
step the style code alone learns, in a minute, which statistics a prompt stands for: otherwise the network takes long
to find out that prompts differ. The paper's directional loss can be added where the text-image encoder has learned
pictures.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn
from tqdm import tqdm

from stylecli.metrics.ssim import structural_similarity
from stylecli.metrics.vgg import Vgg16
from stylecli.models.autoencoder.model import Autoencoder
from stylecli.models.registry import load_network
from stylecli.models.siglip import load_siglip
from stylecli.models.style_mamba.config import StyleMambaConfig
from stylecli.models.style_mamba.descriptor import AUTOENCODER
from stylecli.models.style_mamba.model import StyleMamba
from stylecli.paint import guidance
from stylecli.training import losses
from stylecli.training.data import ContentCrops, draw, generator, list_images
from stylecli.training.parallel import Worker
from stylecli.training.perceptual import Wanted, content_features, mean_and_spread, painting_terms
from stylecli.training.prompt_targets import Targets, all_embeddings, all_statistics
from stylecli.training.prompts import PHOTOGRAPHS, Prompts
from stylecli.training.recipe import Optimizer, Recipe
from stylecli.training.schedule import rate
from stylecli.training.sheet import write_prompt_sheet
from stylecli.training.tasks.crops import Crops
from stylecli.training.tasks.task import Release, Task

log = logging.getLogger(__name__)

_CODE_SIZE = 0.25  # root mean square of a code


@dataclass(frozen=True)
class Data:
    """Folders of photographs, a folder of captioned artworks with its ``manifest.csv``, the photographs of the contact
    sheets, and the weights of the networks that are there; of these, only the decoder learns."""

    content: tuple[str, ...]
    styles: str
    val_content: str = ""
    vgg: str = "vgg16"
    autoencoder: str = "autoencoder-s"
    siglip: str = "siglip-s"


@dataclass(frozen=True)
class Code:
    """How the style code is taught.

    Attributes:
        artworks: how many artworks give one target. push: see :meth:`Targets.wanted`.
        steps, batch, lr: of what it learns alone. rate: its learning rate afterwards, in shares of the network's.
    """

    artworks: int = 4
    push: float = 1.6
    steps: int = 2500
    batch: int = 48
    lr: float = 2e-3
    rate: float = 0.03


@dataclass(frozen=True)
class Losses:
    """Weights. 0: not computed."""

    content: float = 0.5
    style: float = 2.0
    fine: float = 0.5
    structure: float = 1.0
    identity: float = 1.0
    reconstruction: float = 5.0
    tv: float = 0.02
    range: float = 2.0
    code: float = 0.5
    directional: float = 0.0


@dataclass(frozen=True)
class Settings:
    data: Data
    code: Code = field(default_factory=Code)
    crops: Crops = field(default_factory=lambda: Crops(192, 160, 0.7))
    losses: Losses = field(default_factory=Losses)
    network: dict[str, Any] = field(default_factory=dict, metadata={"changes": StyleMambaConfig})


class Learning(nn.Module):
    """All that learns: StyleMamba, the auto-encoder's decoder, and a linear probe from style codes to standardised VGG
    statistics (B, D) in one row. The probe begins with the typical style and is not released: it teaches the code what
    a feature network sees in a style (see :func:`stylecli.training.losses.code_loss`)."""

    def __init__(
        self, network: StyleMamba, autoencoder: Autoencoder, means: list[Tensor], spreads: list[Tensor]
    ):
        super().__init__()
        self.network, self.autoencoder = network, autoencoder
        typical = torch.cat([m / s for m, s in zip(means, spreads, strict=True)])
        self.probe = nn.Linear(network.config.code, len(typical))
        nn.init.zeros_(self.probe.weight)
        self.probe.bias.data.copy_(typical)
        # Made for photographs only, it left a weave of its 4 x 4 blocks.
        autoencoder.decoder.requires_grad_(True)


@dataclass
class Batch:
    content: Tensor  # (B, 3, crop, crop)
    embedding: Tensor  # (B, E)
    wanted: Wanted


class StyleMambaTask(Task):
    settings = Settings

    def __init__(self, recipe: Recipe, worker: Worker, out: Path):
        super().__init__(recipe, worker, out)
        self.own.crops.check(recipe)
        data, device = self.own.data, worker.device
        self.crops = ContentCrops(list_images(recipe.paths(data.content)), 0)
        self.features: dict[int, list[Tensor]] = {}
        vgg = recipe.weights(data.vgg)
        self.vgg = Vgg16(vgg).to(device)
        self.siglip = load_siglip(recipe.weights(data.siglip))
        prompts = Prompts(recipe.path(data.styles))
        with worker.first_alone():
            statistics = all_statistics(prompts, vgg, out / "statistics.safetensors", str(device))
        self.targets = Targets(prompts, statistics, all_embeddings(prompts, self.siglip), self.own.code.push)
        self.siglip.to(device)
        means, spreads = mean_and_spread([[layer.float() for layer in statistics]])
        self.spreads = [s.to(device) for s in spreads]
        config, self.known = self.start("style-mamba", StyleMambaConfig())
        network = StyleMamba(config)
        autoencoder = cast(Autoencoder, load_network(recipe.weights(data.autoencoder), "autoencoder"))
        self.learning = Learning(network, autoencoder, means, spreads).to(device)
        self.learning.probe.requires_grad_("code" in self.weights)
        self.module = self.learning

    def begin(self) -> None:
        kept = {k: v for k, v in self.known.items() if not k.startswith("code.")}  # the code is learned anew
        self.load(self.learning.network, kept)
        self._teach_code(self.own.code)

    def groups(self) -> list[tuple[float, list[nn.Parameter]]]:
        # The code is taught already; what painting has to say of it comes through every layer at once.
        slow = [*self.learning.network.code.parameters(), *self.learning.probe.parameters()]
        own = {id(p) for p in slow}
        every = [p for p in self.learning.parameters() if p.requires_grad]
        return [
            (1.0, [p for p in every if id(p) not in own]),
            (self.own.code.rate, [p for p in every if id(p) in own]),
        ]

    def _teach_code(self, how: Code) -> None:
        """Teach the style code and its probe the statistics of prompts, without any picture."""
        model, probe, targets = self.learning.network, self.learning.probe, self.targets
        device = self.worker.device
        settings = Optimizer(lr=how.lr, decay_from=0.3)
        parameters = [*model.code.parameters(), *probe.parameters()]
        optimizer = torch.optim.Adam(parameters, lr=how.lr, betas=settings.betas)
        rng, weight = generator(self.recipe.seed), torch.ones(how.batch, device=device)
        for step in tqdm(range(how.steps), desc="style code", mininterval=10, disable=self.worker.rank > 0):
            for group in optimizer.param_groups:
                group["lr"] = rate(settings, step, how.steps)
            drawn = [targets.prompts.draw(rng, how.artworks) for _ in range(how.batch)]
            rows = zip(*(targets.wanted(artworks) for _, artworks in drawn), strict=True)
            wanted = [torch.cat(layer).to(device) for layer in rows]
            code = model.style_code(
                torch.stack([targets.embeddings[prompt] for prompt, _ in drawn]).to(device)
            )
            loss = losses.code_loss(probe(code), wanted, self.spreads, weight)
            optimizer.zero_grad(set_to_none=True)
            (loss + 1e-3 * code.square().mean()).backward()
            optimizer.step()
        log.info("style code: %d steps, loss %.4f", how.steps, float(loss.detach()))
        with torch.no_grad():
            # Small, so that one step of Adam in the many layers that read the code cannot overturn a picture.
            every = model.style_code(torch.stack(list(targets.embeddings.values())).to(device))
            scale = _CODE_SIZE / every.square().mean().sqrt()
            last = cast(nn.Linear, cast(nn.Sequential, model.code)[-1])
            last.weight.mul_(scale), last.bias.mul_(scale), probe.weight.div_(scale)

    def batch(self, step: int) -> Batch:
        """This worker's part of a step."""
        recipe, targets, device = self.recipe, self.targets, self.worker.device
        crop = self.own.crops.at(step, recipe.steps)
        if crop != self.crops.crop:
            self.crops, self.features = ContentCrops(self.crops.paths, crop), {}
        content, embedding, kept, style, styled = [], [], [], [], []
        for place in self.worker.places(recipe.batch):
            rng = generator(recipe.seed, step, place)
            i = draw(rng, len(self.crops), place, recipe.batch)
            prompt, artworks = targets.prompts.draw(rng, self.own.code.artworks)
            if step % 2 == 0 and place == 0:
                prompt = PHOTOGRAPHS[int(rng.integers(len(PHOTOGRAPHS)))]
            image = self.crops[i][None].to(device)
            if i not in self.features:
                with self.worker.precision():
                    self.features[i] = content_features(self.vgg, image)
            content.append(image)
            embedding.append(targets.embeddings[prompt])
            kept.append(self.features[i])
            style.append(targets.wanted(artworks))
            styled.append(float(prompt not in PHOTOGRAPHS))
        maps, statistics = (
            [torch.cat(layer).to(device) for layer in zip(*part, strict=True)] for part in (kept, style)
        )
        y, x = generator(recipe.seed, step).integers(0, crop // 2 + 1, 2).tolist()
        wanted = Wanted(maps, statistics, torch.tensor(styled, device=device), (y, x))
        return Batch(torch.cat(content), torch.stack(embedding).to(device), wanted)

    def terms(self, batch: Batch, step: int) -> dict[str, Tensor]:
        model, autoencoder = self.learning.network, self.learning.autoencoder
        styled = batch.wanted.styled
        with torch.no_grad():
            latent = autoencoder.encode(batch.content)
        code = model.style_code(batch.embedding)
        output = autoencoder.decode(model(latent, code, seed=step)).float()
        terms, _ = painting_terms(output, batch.wanted, self.vgg, self.spreads, self.weights)
        terms["identity"] = ((output - batch.content).abs().mean((1, 2, 3)) * (1 - styled)).mean()
        terms["tv"] = guidance.total_variation(output)
        terms["range"] = guidance.out_of_range(output)
        if "structure" in self.weights:
            terms["structure"] = 1 - structural_similarity(output, batch.content).mean()
        if "reconstruction" in self.weights:
            terms["reconstruction"] = (autoencoder.decode(latent).float() - batch.content).abs().mean()
        if "code" in self.weights:
            predicted = self.learning.probe(code).float()
            terms["code"] = losses.code_loss(predicted, batch.wanted.style, self.spreads, styled)
        if "directional" in self.weights:
            terms["directional"] = self._directional(output, batch)
        return terms

    def _directional(self, output: Tensor, batch: Batch) -> Tensor:
        """The paper's directional loss of styled pictures, on a window of half their side."""
        y, x = batch.wanted.window
        side = output.shape[-1] // 2
        with torch.no_grad():
            before = self.siglip.encode_image(batch.content[..., y : y + side, x : x + side])
        after = self.siglip.encode_image(output[..., y : y + side, x : x + side])
        photo = self.targets.embeddings[PHOTOGRAPHS[0]][None].to(after)
        loss = guidance.directional_loss(after, before, batch.embedding, photo)
        return (loss * batch.wanted.styled).mean()

    def releases(self, averaged: nn.Module) -> list[Release]:
        assert isinstance(averaged, Learning)
        network, autoencoder = averaged.network, averaged.autoencoder
        return [
            Release(network.state_dict(), network.config.to_json()),
            Release(autoencoder.state_dict(), autoencoder.config.to_json(), file=AUTOENCODER),
        ]

    def sheet(self, averaged: nn.Module, path: Path) -> None:
        if self.own.data.val_content:
            assert isinstance(averaged, Learning)
            photographs = list_images([self.recipe.path(self.own.data.val_content)])
            write_prompt_sheet(path, photographs, averaged.network, averaged.autoencoder, self.siglip)
