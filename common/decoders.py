"""Embeddings -> frames."""

from torch import Tensor, nn


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
