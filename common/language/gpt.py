"""A small causal transformer over words: trained by the likelihood of the next one, sampled."""

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from common.vit import Block, Cache


class GPT(nn.Module):
    """What is known (B, P, D) and the words so far (B, n) -> log-odds of the next word.

    Pre-norm blocks, learnt positions, one table for words that are read and words that are said
    (GPT-2, Radford et al. 2019, "Language models are unsupervised multitask learners", sec. 2.3;
    weight tying: arXiv 1608.05859). What is known stands first, as vectors: at least one of them.
    """

    def __init__(
        self, *, num_words: int, length: int, dim: int, depth: int, num_heads: int
    ) -> None:
        super().__init__()
        self.embed = nn.Embedding(num_words, dim)
        self.place = nn.Parameter(0.02 * torch.randn(length, dim))
        self.blocks = nn.ModuleList(Block(dim=dim, num_heads=num_heads) for _ in range(depth))
        self.norm = nn.LayerNorm(dim)
        nn.init.normal_(self.embed.weight, std=0.02)

    def forward(self, known: Tensor, words: Tensor) -> Tensor:
        """Log-odds (B, n + 1, V) of each of the words (B, n), and of the one behind them."""
        x = torch.cat([known, self.embed(words)], dim=1)
        return self._say(self._read(x, 0, None)[:, known.shape[1] - 1 :])

    def bits(self, known: Tensor, words: Tensor) -> Tensor:
        """-log2 p of each word given those before, (B, n): what it costs to be told them."""
        log_odds = self(known, words[:, :-1])
        nats = cross_entropy(log_odds.flatten(0, 1), words.flatten(), reduction="none")
        return nats.view(words.shape) / nats.new_tensor(2.0).log()

    def sample(
        self, known: Tensor, length: int, times: int, generator: torch.Generator | None
    ) -> Tensor:
        """Sentences (B, times, length), each word drawn from what is said of it.

        Without a generator it is the likeliest word, given those before.
        """
        caches = [Cache(known.shape[1] + length) for _ in self.blocks]
        x = self._read(known, 0, caches)[:, -1].repeat_interleave(times, 0)  # (B times, D)
        for cache in caches:
            cache.repeat(times)
        said = []
        for i in range(length):
            log_odds = self._say(x)
            if generator is None:
                word = log_odds.argmax(-1, keepdim=True)
            else:
                word = torch.multinomial(log_odds.softmax(-1), 1, generator=generator)
            said.append(word)  # (B times, 1)
            if i + 1 < length:
                x = self._read(self.embed(word), known.shape[1] + i, caches)[:, -1]
        return torch.cat(said, dim=1).view(len(known), times, length)

    def _read(self, x: Tensor, begin: int, caches: list[Cache] | None) -> Tensor:
        """What the blocks make of tokens (B, n, D) that stand at ``begin`` and after."""
        x = x + self.place[begin : begin + x.shape[1]]
        for i, block in enumerate(self.blocks):
            x = block(x, causal=x.shape[1] > 1, cache=caches[i] if caches else None)
        return self.norm(x)

    def _say(self, x: Tensor) -> Tensor:
        """Log-odds (B, n, V) of the word behind each token (B, n, D)."""
        return x @ self.embed.weight.T


class Reader(nn.Sequential):
    """Vectors of words (B, L, D), so many together through one hidden layer: (B, L / together, D).

    What a transformer is told then costs it fewer tokens than there are words.
    """

    def __init__(self, *, together: int, dim: int, hidden_dim: int) -> None:
        first, last = nn.Linear(together * dim, hidden_dim), nn.Linear(hidden_dim, dim)
        super().__init__(first, nn.GELU(), last)
        self.together = together

    def forward(self, vectors: Tensor) -> Tensor:
        return super().forward(vectors.unflatten(1, (-1, self.together)).flatten(2))
