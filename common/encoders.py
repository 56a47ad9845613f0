"""Frames -> embeddings."""

from torch import Tensor, nn


class ConvEncoder(nn.Module):
    """z = enc(x): frames (B, C, H, W) in [0, 1] -> embeddings (B, D).

    A stride-4 patch convolution, then stride-2 convolutions, then one linear layer: on a CPU the
    patch stem costs half of what three stride-2 convolutions cost. size must be divisible by 16.
    """

    def __init__(
        self, *, in_channels: int, channels: tuple[int, int, int], size: int, embedding_dim: int
    ) -> None:
        super().__init__()
        first, second, third = channels
        self.conv = nn.Sequential(
            nn.Conv2d(in_channels, first, kernel_size=4, stride=4),
            nn.ReLU(),
            nn.Conv2d(first, second, kernel_size=3, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(second, third, kernel_size=3, stride=2, padding=1),
            nn.ReLU(),
        )
        self.head = nn.Linear(third * (size // 16) ** 2, embedding_dim)

    def forward(self, x: Tensor) -> Tensor:
        h = self.conv(x)  # (B, C', H / 16, W / 16)
        return self.head(h.flatten(1))  # (B, D)
