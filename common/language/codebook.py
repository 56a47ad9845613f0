"""A codebook of patches: frames -> words, and back."""

import torch
from torch import Tensor, nn

from common.probes import kmeans, lloyd, nearest
from common.vit import patchify

MOST_PATCHES = 8192  # different patches that a codebook is fitted to
FOREIGN = 1e-3  # squared error per pixel, above thrice its own, at which a codebook does not fit


class Codebook(nn.Module):
    """The words of a world: ``num_words`` square patches; a patch is read as the nearest of them.

    What is lost on the way bounds every model of the words: ``error`` is the mean squared error per
    pixel on the frames that the codebook was made of. Frames are (B, C, H, W) in [0, 1], words
    (B, N), row by row. A vector-quantised autoencoder (arXiv 1711.00937) without the networks.
    """

    words: Tensor  # (V, P^2 C)
    error: Tensor  # ()

    def __init__(self, *, num_words: int, patch_size: int, channels: int, size: int) -> None:
        super().__init__()
        self.patch_size, self.channels, self.side = patch_size, channels, size // patch_size
        self.register_buffer("words", torch.zeros(num_words, channels * patch_size**2))
        self.register_buffer("error", torch.zeros(()))

    def fit(self, frames: Tensor, generator: torch.Generator) -> None:
        """k-means on the patches of frames; raises ValueError for too few different ones.

        It starts from the middles of the different patches, lest it sees little but the commonest.
        """
        patches = patchify(frames.unsqueeze(1), self.patch_size).flatten(0, 3)
        different, count = patches.unique(dim=0, return_counts=True)
        if len(different) < len(self.words):
            got = f"{len(self.words)} words for {len(different)} different patches"
            raise ValueError(f"got {got} of {self.patch_size} px; wanted at most as many words")
        drawn = torch.randperm(len(different), generator=generator, device=generator.device)[
            :MOST_PATCHES
        ]
        different, count = different[drawn], count[drawn].to(different.dtype)
        start, _ = kmeans(different, len(self.words), generator, restarts=1)
        found, _ = lloyd(different, start, weight=count)
        self.words.copy_(found)
        self.error.copy_((self.decode(self.encode(frames)) - frames).square().mean())

    def encode(self, frames: Tensor) -> Tensor:
        """Frames (B, C, H, W) -> words (B, N)."""
        patches = patchify(frames.unsqueeze(1), self.patch_size)  # (B, 1, H / P, W / P, P^2 C)
        with torch.autocast(frames.device.type, enabled=False):  # the same words at any precision
            return nearest(patches.flatten(0, 3), self.words).view(len(frames), -1)

    def decode(self, words: Tensor) -> Tensor:
        """Words (B, N) -> frames (B, C, H, W)."""
        x = self.words[words].unflatten(1, (self.side, self.side))  # (B, H / P, W / P, P^2 C)
        x = x.unflatten(3, (self.channels, self.patch_size, self.patch_size))
        return x.permute(0, 3, 1, 4, 2, 5).flatten(4, 5).flatten(2, 3)

    def check_fits(self, frames: Tensor) -> None:
        """Raises ValueError where frames are of another world than those the words are of."""
        error = (self.decode(self.encode(frames)) - frames).square().mean().item()
        if error > 3 * self.error.item() + FOREIGN:
            got = f"an error of {error:.4f} on these frames, {self.error.item():.4f} on its own"
            raise ValueError(f"the codebook is of another world: got {got}; train on this world")
