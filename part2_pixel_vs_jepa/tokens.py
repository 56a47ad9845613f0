"""The method of language models: cut frames into words, predict the next word, sample."""

import torch
from torch import Tensor, nn

from common.episodes import Batch, Clips, to_float
from common.language.codebook import Codebook
from common.language.gpt import GPT, Reader
from part2_pixel_vs_jepa.config import Config, Method

FRAMES = 4096  # that the codebook is made of


class TokenModel(nn.Module):
    """A codebook, a transformer over its words, and what reads the words of the past.

    The words of the past enter ``words_at_once`` at a time, their vectors side by side through one
    hidden layer; the N words of the next frame are then predicted, and drawn, one after another.
    """

    method: Method = "tokens"

    def __init__(self, cfg: Config) -> None:
        super().__init__()
        tokens, size = cfg.tokens, cfg.world.size
        dim = tokens.dim
        self.num_words = (size // tokens.patch_size) ** 2  # N, of a frame
        self.codebook = Codebook(
            num_words=tokens.num_words, patch_size=tokens.patch_size, channels=1, size=size
        )
        past = cfg.history_length * self.num_words // tokens.words_at_once
        self.gpt = GPT(
            num_words=tokens.num_words, length=past + self.num_words, dim=dim,
            depth=tokens.depth, num_heads=tokens.num_heads,
        )  # fmt: skip
        self.reader = Reader(
            together=tokens.words_at_once, dim=dim, hidden_dim=tokens.reader_hidden
        )

    def fit_codebook(self, clips: Clips, generator: torch.Generator) -> None:
        """Makes the codebook of some training frames; raises ValueError for too few patches."""
        frames = clips.frames.flatten(0, 1)
        drawn = torch.randperm(len(frames), generator=generator, device=frames.device)[:FRAMES]
        self.codebook.fit(to_float(frames[drawn]), generator)

    def read(self, x_past: Tensor) -> Tensor:
        """Frames (B, n, C, H, W) -> what the transformer knows of them, (B, P, D)."""
        words = self.codebook.encode(x_past.flatten(0, 1)).view(len(x_past), -1)  # (B, n N)
        return self.reader(self.gpt.embed(words))

    def bits(self, batch: Batch) -> Tensor:
        """-log2 p of each word of the frame that came, (B, N)."""
        return self.gpt.bits(self.read(batch.x_past), self.codebook.encode(batch.x_next))

    def sample(self, batch: Batch, times: int, generator: torch.Generator) -> Tensor:
        """Next frames (B, times, H, W), drawn word by word."""
        words = self.gpt.sample(self.read(batch.x_past), self.num_words, times, generator)
        frames = self.codebook.decode(words.flatten(0, 1))[:, 0]  # (B times, H, W)
        return frames.unflatten(0, words.shape[:2])

    def num_parameters(self) -> int:
        """How many parameters are trained; the codebook's words are not."""
        return sum(p.numel() for p in self.parameters())
