"""The recipe of language models as a world model: frames and actions in words, the next said."""

import torch
from torch import Tensor, nn

from common.language.codebook import Codebook
from common.language.gpt import GPT, Reader
from common.metrics import centre_of_mass
from common.schedules import stream
from part5_action_planning.config import ACTION_DIM, Config, Stream, WordsConfig
from part5_action_planning.tasks.rules import largest_action

WHITE = 0.75  # of a pixel that is the ball: the inner wall is grey


class WordModel(nn.Module):
    """A world model (``jepa.WorldModel``) whose state is the frame, as a codebook's words show it.

    The words of the last n frames enter ``words_at_once`` at a time, then those of the n actions
    that leave them, two an action; the words of the next frame are said one after another.
    """

    def __init__(self, cfg: Config) -> None:
        super().__init__()
        words, world = cfg.words, cfg.world
        self.history_length, self.frame_skip = cfg.model.history_length, 1
        self.shape = (world.channels, world.size, world.size)
        self.num_words = (world.size // words.patch_size) ** 2  # N, of a frame
        self.codebook = Codebook(
            num_words=words.num_words, patch_size=words.patch_size,
            channels=world.channels, size=world.size,
        )  # fmt: skip
        past = self.num_words // words.words_at_once + ACTION_DIM
        self.gpt = GPT(
            num_words=words.num_words, length=self.history_length * past + self.num_words,
            dim=words.dim, depth=words.depth, num_heads=words.num_heads,
        )  # fmt: skip
        self.reader = Reader(
            together=words.words_at_once, dim=words.dim, hidden_dim=words.reader_hidden
        )
        self.scale, self.bins = largest_action(cfg.task, world), words.num_action_words
        self.action = nn.Embedding(ACTION_DIM * self.bins, words.dim)
        nn.init.normal_(self.action.weight, std=0.02)
        self.seed = cfg.seed
        self.use(words)

    def use(self, words: WordsConfig) -> None:
        """How it is rolled out and compared from now on: options that no weight depends on."""
        self.is_sampled, self.by_place = words.say == "sample", words.goal == "place"
        self.begin()

    def begin(self) -> None:
        """Samples are drawn from the seed again, as for every agent."""
        self.draws: dict[str, torch.Generator] = {}

    def bits(self, words: Tensor, actions: Tensor) -> Tensor:
        """-log2 p of each word of the last of frames (B, n + 1, N), after actions (B, n, A)."""
        return self.gpt.bits(self.known(words[:, :-1], actions), words[:, -1])

    def known(self, words: Tensor, actions: Tensor) -> Tensor:
        """What the transformer is told of words (B, n, N) and actions (B, n, A): (B, P, D)."""
        read = self.reader(self.gpt.embed(words.flatten(1)))
        share = ((actions / self.scale).clamp(-1, 1) + 1) / 2  # of the way from least to largest
        said = (share * (self.bins - 1)).round().long()
        said = said + self.bins * torch.arange(ACTION_DIM, device=said.device)
        return torch.cat([read, self.action(said.flatten(1))], dim=1)

    def encode(self, frames: Tensor, states: Tensor | None = None) -> Tensor:
        return self.codebook.decode(self.codebook.encode(frames)).flatten(1)

    def step(self, z_past: Tensor, a_past: Tensor) -> Tensor:
        words = self.codebook.encode(self.decode(z_past.flatten(0, 1)))
        known = self.known(words.unflatten(0, z_past.shape[:2]), a_past)
        draws = self._draws(z_past.device) if self.is_sampled else None
        said = self.gpt.sample(known, self.num_words, 1, draws)[:, 0]
        return self.codebook.decode(said).flatten(1)

    def goal_features(self, z: Tensor) -> Tensor:
        """The frames (..., C H W), or the ball's places (..., 2) in px."""
        if not self.by_place:
            return z
        frames = z.unflatten(-1, self.shape).mean(-3)  # (..., H, W), grey
        return centre_of_mass(frames, WHITE)

    def decode(self, z: Tensor) -> Tensor:
        return z.unflatten(1, self.shape)

    def _draws(self, device: torch.device) -> torch.Generator:
        """What samples are drawn from: of the run's seed, on a device."""
        if str(device) not in self.draws:
            self.draws[str(device)] = stream(self.seed, Stream.SAMPLES, device)
        return self.draws[str(device)]
