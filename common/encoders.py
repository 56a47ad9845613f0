"""Frames -> embeddings, and back."""

from torch import Tensor, nn


def gather_patches(x: Tensor, side: int) -> Tensor:
    """Non-overlapping patches as channels: (B, H, W, C) -> (B, H / side, W / side, side^2 C)."""
    x = x.unflatten(1, (-1, side)).unflatten(3, (-1, side))  # (B, H', side, W', side, C)
    return x.transpose(2, 3).flatten(3)


class ConvEncoder(nn.Module):
    """z = enc(x): frames (B, C, H, W) in [0, 1] -> embeddings (B, D).

    Convolutions whose kernel equals their stride (8, then 2), then one linear layer. Such a
    convolution is one matrix product over patches and is written so: on a CPU that is several
    times faster than three overlapping stride-2 convolutions, and learns this world no worse.
    size must be divisible by 16; channels are the widths of the two convolutions.
    """

    def __init__(
        self, *, in_channels: int, channels: tuple[int, int], size: int, embedding_dim: int
    ) -> None:
        super().__init__()
        self.patch = nn.Linear(8 * 8 * in_channels, channels[0])
        self.merge = nn.Linear(2 * 2 * channels[0], channels[1])
        self.head = nn.Linear(channels[1] * (size // 16) ** 2, embedding_dim)

    def forward(self, x: Tensor) -> Tensor:
        h = self.patch(gather_patches(x.movedim(1, -1), 8)).relu()  # (B, H / 8, W / 8, channels)
        h = self.merge(gather_patches(h, 2)).relu()  # (B, H / 16, W / 16, channels)
        return self.head(h.flatten(1))  # (B, D)


def spread_patches(x: Tensor, side: int) -> Tensor:
    """The inverse of gather_patches: (B, H, W, side^2 C) -> (B, H side, W side, C)."""
    x = x.unflatten(3, (side, side, -1))  # (B, H, W, side, side, C)
    return x.transpose(2, 3).flatten(3, 4).flatten(1, 2)


class ConvDecoder(nn.Module):
    """x = dec(z): embeddings (B, D) -> frames (B, C, H, W), the encoder's mirror image.

    The output is linear, not squashed: under squared error it learns the mean frame at once, and a
    sigmoid that saturates on black would send subnormal gradients through everything.
    """

    def __init__(
        self, *, out_channels: int, channels: tuple[int, int], size: int, embedding_dim: int
    ) -> None:
        super().__init__()
        self.side = size // 16
        self.head = nn.Linear(embedding_dim, channels[1] * self.side**2)
        self.merge = nn.Linear(channels[1], 2 * 2 * channels[0])
        self.patch = nn.Linear(channels[0], 8 * 8 * out_channels)

    def forward(self, z: Tensor) -> Tensor:
        h = self.head(z).relu().unflatten(1, (self.side, self.side, -1))
        h = spread_patches(self.merge(h), 2).relu()  # (B, H / 8, W / 8, channels)
        return spread_patches(self.patch(h), 8).movedim(-1, 1)  # (B, C, H, W)
