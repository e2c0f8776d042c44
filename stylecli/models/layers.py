"""Layers that both painting networks are built from: statistics over the image, AdaIN, noise, styled convolutions."""

from __future__ import annotations

from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stylecli.models.kept import Kept
from stylecli.ops import conv3x3 as ops
from stylecli.ops import depthwise3x3 as ops_depthwise
from stylecli.ops.border import bordered
from stylecli.ops.held import held
from stylecli.ops.overridable import (
    adain,
    conv3x3,
    depthwise3x3,
    enlarged_conv3x3,
    materialize,
    mean_std,
)

SLOPE = 0.2  # of leaky ReLUs


def normalised(x: Tensor, limit: float) -> Tensor:
    """(x - mean) / std over the image, kept within ``limit`` standard deviations (see AdaIn); x is (B, C, H, W)."""
    mean, std = mean_std(x)
    return adain(x, mean, std, torch.ones_like(mean), torch.zeros_like(mean), limit)


class _PreparedConv(nn.Conv2d):
    """Weights and bias of a 3 x 3 convolution with the border continued, and what fast paths keep with them."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__(inputs, outputs, 3, padding=1, padding_mode="replicate")
        self.prepared = ops.Prepared()


class Conv3x3(_PreparedConv):
    """3 x 3, stride 1, the border continued: (B, C, H, W) to (B, D, H, W)."""

    def forward(
        self, x: Tensor, before: float = 1.0, after: float = 1.0, added: Tensor | None = None
    ) -> Tensor:
        """``before``, ``after``: slopes of leaky ReLUs around it, 1 is none. ``added`` is added before the latter."""
        assert self.bias is not None
        return conv3x3(x, self.weight, self.bias, self.prepared, before, after, added)


class EnlargingConv(_PreparedConv):
    """3 x 3 after bilinear enlargement (no checkerboard): (B, C, H, W) to (B, D, 2 H, 2 W)."""

    def forward(self, x: Tensor, after: float = 1.0) -> Tensor:
        assert self.bias is not None
        return enlarged_conv3x3(x, self.weight, self.bias, self.prepared, after)


class _StyledKernels(_PreparedConv):
    """A convolution whose kernels depend on the style (own decision): to its own every style adds, for each output
    channel by itself, a mixture of ``experts`` kernels that it chooses (as in CondConv, arXiv 1904.04971, which has one
    choice for all channels). AdaIN moves and scales what a layer sees; strokes need other things to be seen.

    They cost a picture nothing: the kernels are mixed once for its style. The bank starts at zero.
    """

    bank: Tensor

    def __init__(self, inputs: int, outputs: int, code: int, experts: int):
        super().__init__(inputs, outputs)
        self.experts = experts
        if experts:
            self.bank = nn.Parameter(torch.zeros(experts * outputs, inputs, 3, 3))
            self.choose = nn.Linear(code, experts * outputs)
        self._mixed = Kept()

    def _choices(self, code: Tensor) -> Tensor:
        """(B, code) to (B, experts, outputs)."""
        return self.choose(code).unflatten(1, (self.experts, -1))  # type: ignore[no-any-return]

    def _mix(self, code: Tensor) -> tuple[Tensor, ops.Prepared]:
        choices = self._choices(code[:1])[0]
        bank = self.bank.unflatten(0, (self.experts, -1))  # (experts, D, C, 3, 3)
        mixed = self.weight + torch.einsum("kd,kdchw->dchw", choices, bank)
        return mixed.contiguous(memory_format=torch.channels_last), ops.Prepared()

    def kernels(self, code: Tensor) -> tuple[Tensor, ops.Prepared]:
        """The kernels (D, C, 3, 3) of the one style of codes (B, code), and what fast paths keep with them. Those of
        the last styles are kept: the next picture or frame has most likely one of these."""
        parts = (self.weight, self.bank, self.choose.weight, self.choose.bias)
        return self._mixed.get(lambda: self._mix(code), (code,), parts)

    def _each_its_own(self, x: Tensor, code: Tensor, before: float, after: float) -> Tensor:
        """Pictures of different styles on a graphics card: all kernels of the bank in one go, then their mixture."""
        x = x if before == 1 else F.leaky_relu(x, before)
        weight = torch.cat([self.weight, self.bank])
        y = F.conv2d(bordered(x), weight)
        own, *others = y.chunk(1 + self.experts, 1)
        assert self.bias is not None
        y = own + self.bias[:, None, None].to(own.dtype)
        for choice, other in zip(self._choices(code).unbind(1), others, strict=True):
            y = torch.addcmul(y, choice[..., None, None].to(y.dtype), other)
        return y if after == 1 else F.leaky_relu(y, after)


def of_one_style(code: Tensor) -> bool:
    """Whether codes (B, code) are one, or one that was expanded."""
    return len(code) == 1 or code.stride(0) == 0


class StyledConv3x3(_StyledKernels):
    """:class:`Conv3x3` with kernels of the style: (B, C, H, W) and its code (B or 1, code) to (B, D, H, W)."""

    def forward(  # type: ignore[override]
        self, x: Tensor, code: Tensor, before: float = 1.0, after: float = 1.0
    ) -> Tensor:
        assert self.bias is not None
        if not self.experts:
            return conv3x3(x, self.weight, self.bias, self.prepared, before, after, None)
        if of_one_style(code):
            weight, prepared = self.kernels(code)
            return conv3x3(x, weight, self.bias, prepared, before, after, None)
        if x.device.type == "cuda":
            return self._each_its_own(x, code, before, after)
        return torch.cat([self(a, c, before, after) for a, c in zip(x.split(1), code.split(1), strict=True)])


class StyledEnlargingConv(_StyledKernels):
    """:class:`EnlargingConv` with kernels of the style."""

    def forward(self, x: Tensor, code: Tensor, after: float = 1.0) -> Tensor:  # type: ignore[override]
        assert self.bias is not None
        if not self.experts:
            return enlarged_conv3x3(x, self.weight, self.bias, self.prepared, after)
        if of_one_style(code):
            weight, prepared = self.kernels(code)
            return enlarged_conv3x3(x, weight, self.bias, prepared, after)
        if x.device.type == "cuda":
            large = F.interpolate(x, scale_factor=2, mode="bilinear")
            return self._each_its_own(large, code, 1.0, after)
        return torch.cat([self(a, c, after) for a, c in zip(x.split(1), code.split(1), strict=True)])


class BlocksConv(Conv3x3):
    """The convolution of a map of which 2 x 2 pixels lie in the channels of one, as before ``F.pixel_shuffle(., 2)``:
    (B, 4 C, H, W) to (B, 4 D, H, W). At the border the last block is repeated, not the last pixel."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__(inputs, outputs)
        self.blocked = ops.Prepared()

    def forward(
        self, x: Tensor, before: float = 1.0, after: float = 1.0, added: Tensor | None = None
    ) -> Tensor:
        assert self.bias is not None
        learning = self.weight.requires_grad
        make = ops.blocked_weight
        weight = make(self.weight) if learning else self.blocked.get(self.weight, make)
        bias = self.bias.repeat_interleave(4)
        return conv3x3(x, weight, bias, self.prepared, before, after, added)


class DepthwiseConv(nn.Conv2d):
    """3 x 3 of every channel by itself, the border continued, and an activation: (B, C, H, W) to the same."""

    def __init__(self, channels: int, activation: ops_depthwise.Activation):
        super().__init__(channels, channels, 3, padding=1, groups=channels, padding_mode="replicate")
        self.activation = activation

    def forward(self, x: Tensor) -> Tensor:
        assert self.bias is not None
        return depthwise3x3(x, self.weight, self.bias, self.activation)


class StridedConv(nn.Conv2d):
    """With stride 2, the border continued: (B, C, H, W) to (B, D, ceil(H / 2), ceil(W / 2))."""

    def __init__(self, inputs: int, outputs: int, kernel: int = 3):
        super().__init__(inputs, outputs, kernel, 2, kernel // 2, padding_mode="replicate")

    def forward(self, x: Tensor) -> Tensor:
        if not isinstance(x, Tensor) or not x.is_cuda:
            return super().forward(x)
        x = bordered(x, width=self.kernel_size[0] // 2)  # in channels-last memory
        return F.conv2d(x, self.weight, self.bias, self.stride)


class AdaIn(nn.Module):
    """Adaptive instance normalisation (arXiv 1703.06868) with a learned correction of its targets.

    y = s * (x - mean(x)) / std(x) + m with (m, log s) = the style's own statistics + W code. Where a site has no
    style feature of its own width (the head), its statistics come from W alone.

    ``limit`` bounds the normalised values (own decision): in a flat picture one odd place would otherwise stand out
    the more, the larger the picture, and grow from layer to layer into a bright spot.
    """

    def __init__(self, channels: int, code: int, limit: float | None = None):
        super().__init__()
        self.limit = limit
        self.correction = nn.Linear(code, 2 * channels)
        nn.init.normal_(self.correction.weight, std=0.02)
        nn.init.zeros_(self.correction.bias)
        self._kept = Kept()

    def _targets(self, code: Tensor, statistics: Tensor | None) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation to be had: two (B, C, 1, 1)."""
        target = self.correction(code)
        if statistics is not None:
            target = target + statistics
        mean, log_std = target[..., None, None].chunk(2, dim=1)
        std = torch.exp(log_std.clamp(-6, 4))
        return (mean.float(), std.float()) if mean.is_cuda else (mean, std)  # as its kernel reads them

    def forward(
        self, x: Tensor, code: Tensor, statistics: Tensor | None = None, after: float = 1.0
    ) -> Tensor:
        """``after``: slope of the leaky ReLU behind it, 1 is none."""
        inputs, weights = (code, statistics), self.correction.parameters()
        mean, std = self._kept.get(lambda: self._targets(code, statistics), inputs, weights)
        return adain(x, *mean_std(x), std, mean, self.limit, after)


class Noise(nn.Module):
    """x + gain * n, with n ~ N(0, 1) for every place, the same for all channels (as in StyleGAN, arXiv 1812.04948).

    Where a photograph is flat there is nothing to draw strokes from: without it the network fell back on the only
    pattern it could find, the grid of its own tokens. ``gain`` starts at zero.
    """

    def __init__(self, channels: int):
        super().__init__()
        self.gain = nn.Parameter(torch.zeros(channels, 1, 1))

    def forward(self, x: Tensor, seed: int | None) -> Tensor:
        """``seed`` None: the next numbers of torch's own generator on x's device, for training there."""
        H, W = x.shape[2:]
        n = (
            torch.randn(H, W, device=x.device, dtype=x.dtype)
            if seed is None
            else noise(H, W, seed, x.device, x.dtype)
        )
        return torch.addcmul(x, self.gain, n)


_KEPT_NUMBERS = 1 << 20  # of a map of noise that is kept for the next frame of a film


def noise(height: int, width: int, seed: int, device: torch.device, dtype: torch.dtype) -> Tensor:
    """(H, W) of N(0, 1). Drawn on the CPU: one seed gives one picture on every device."""
    if height * width <= _KEPT_NUMBERS:
        return held(_kept(height, width, seed, device, dtype))
    n = _drawn(height, width, seed).to(dtype)
    if device.type == "cuda":  # nobody waits for what was begun before
        return n.pin_memory().to(device, non_blocking=True)
    return n.to(device)


def _drawn(height: int, width: int, seed: int) -> Tensor:
    with torch.inference_mode(False):  # what is kept must serve a later training step too
        return torch.randn(height, width, generator=torch.Generator().manual_seed(seed))


@lru_cache(maxsize=16)  # frames of a film are of one size, and so are most pictures of a folder
def _kept(height: int, width: int, seed: int, device: torch.device, dtype: torch.dtype) -> Tensor:
    """Waits until it is on the device: threads that paint in streams of their own share it."""
    with torch.inference_mode(False):
        return _drawn(height, width, seed).to(device, dtype)


class StyledResidual(nn.Module):
    """x + gain * AdaIN(conv(AdaIN(conv(x)))): texture that a global scan cannot draw (own decision).

    ``gain`` starts at zero, so that a network can grow these while it trains.
    """

    def __init__(self, channels: int, code: int, limit: float | None = None, experts: int = 0):
        super().__init__()
        self.conv1, self.conv2 = (StyledConv3x3(channels, channels, code, experts) for _ in range(2))
        self.norm1, self.norm2 = (AdaIn(channels, code, limit) for _ in range(2))
        self.gain = nn.Parameter(torch.zeros(channels, 1, 1))

    def forward(self, x: Tensor, code: Tensor) -> Tensor:
        x = materialize(x)
        y = self.norm1(self.conv1(x, code), code, after=SLOPE)
        return torch.addcmul(x, self.gain, self.norm2(self.conv2(y, code), code))
