"""Embeddings -> frames."""

from torch import Tensor, nn


class ConvDecoder(nn.Module):
    """x = dec(z): embeddings (B, D) -> frames (B, C, H, W), the encoder's mirror image.

    The output is linear, not squashed: under squared error it learns the mean frame at once, and a
    saturated sigmoid on black background would send subnormal gradients through everything.
    """

    def __init__(
        self, *, out_channels: int, channels: tuple[int, int, int], size: int, embedding_dim: int
    ) -> None:
        super().__init__()
        first, second, third = channels
        self.side = size // 16
        self.head = nn.Linear(embedding_dim, third * self.side**2)
        self.conv = nn.Sequential(
            nn.ReLU(),
            nn.ConvTranspose2d(third, second, kernel_size=4, stride=2, padding=1),
            nn.ReLU(),
            nn.ConvTranspose2d(second, first, kernel_size=4, stride=2, padding=1),
            nn.ReLU(),
            nn.ConvTranspose2d(first, out_channels, kernel_size=4, stride=4),
        )

    def forward(self, z: Tensor) -> Tensor:
        h = self.head(z).unflatten(1, (-1, self.side, self.side))  # (B, C', H / 16, W / 16)
        return self.conv(h)  # (B, C, H, W)
