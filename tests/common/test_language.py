"""A codebook loses what it says it loses; a GPT's cache, likelihood and samples agree."""

import math

import pytest
import torch

from common.language.codebook import Codebook
from common.language.gpt import GPT
from common.schedules import stream


def seeded(seed: int = 0) -> torch.Generator:
    return stream(seed, 1)


def make_gpt(num_words: int = 7, length: int = 12) -> GPT:
    torch.manual_seed(0)
    gpt = GPT(num_words=num_words, length=length, dim=16, depth=2, num_heads=4)
    torch.nn.init.normal_(gpt.embed.weight, std=0.3)  # far from uniform, so that a mistake shows
    return gpt


def make_codebook(num_words: int, channels: int = 1) -> Codebook:
    return Codebook(num_words=num_words, patch_size=4, channels=channels, size=12)


@pytest.mark.parametrize("channels", [1, 3])
def test_as_many_words_as_patches_lose_nothing(channels: int) -> None:
    frames = (torch.rand(2, channels, 12, 12, generator=seeded()) * 255).round() / 255
    book = make_codebook(18, channels)
    book.fit(frames, seeded(1))
    assert book.error < 1e-12
    torch.testing.assert_close(book.decode(book.encode(frames)), frames)
    assert book.encode(frames).flatten().unique().numel() == 18
    fewer = make_codebook(5, channels)
    fewer.fit(frames, seeded(1))
    lost = (fewer.decode(fewer.encode(frames)) - frames).square().mean()
    torch.testing.assert_close(fewer.error, lost)
    assert lost > 0.01


def test_a_common_patch_has_its_own_word_though_others_are_near() -> None:
    near = (torch.eye(9)[:, :, None] * torch.ones(16)).view(9, 3, 3, 4, 4).transpose(2, 3)
    frames = torch.cat([torch.zeros(40, 1, 12, 12), 0.05 * near.reshape(9, 1, 12, 12)])
    frames[40:] += 0.01 * torch.rand(9, 1, 12, 12, generator=seeded())
    book = make_codebook(3)
    book.fit(frames, seeded(1))
    assert book.decode(book.encode(frames[:40])).abs().max() < 1e-3


def test_words_stand_row_by_row_and_each_is_the_nearest() -> None:
    book = make_codebook(9)
    greys = torch.linspace(0, 1, 9)
    book.words.copy_(greys[:, None].expand(-1, 16))
    frame = greys.view(3, 3).repeat_interleave(4, 0).repeat_interleave(4, 1)[None, None]
    assert book.encode(frame + 0.01).tolist() == [list(range(9))]
    torch.testing.assert_close(book.decode(torch.arange(9)[None]), frame)


def test_a_codebook_refuses_what_it_cannot_be_made_of_or_is_not_made_for() -> None:
    with pytest.raises(ValueError, match="2 different patches of 4 px"):
        make_codebook(3).fit(torch.eye(3).kron(torch.ones(4, 4))[None, None], seeded())
    with pytest.raises(ValueError, match="multiples of 1 frames and 4 px"):
        make_codebook(3).encode(torch.zeros(1, 1, 12, 10))
    book = make_codebook(2)
    black_or_white = torch.eye(3).kron(torch.ones(4, 4))[None, None]
    book.fit(black_or_white, seeded())
    book.check_fits(black_or_white)
    with pytest.raises(ValueError, match="the codebook is of another world"):
        book.check_fits(torch.rand(2, 1, 12, 12, generator=seeded()))


def test_the_cache_gives_the_log_odds_of_the_full_pass() -> None:
    gpt = make_gpt()
    known = torch.randn(3, 4, 16, generator=seeded())
    words = torch.randint(7, (3, 8), generator=seeded())
    asked: list[torch.Tensor] = []
    say = gpt._say

    def listen(x: torch.Tensor) -> torch.Tensor:
        asked.append(say(x))
        return asked[-1]

    gpt._say = listen  # type: ignore[method-assign]
    with torch.no_grad():
        words = gpt.sample(known, 8, 2, seeded(3))
        cached = torch.stack(asked, dim=1)  # (B times, 8, V)
        full = gpt(known.repeat_interleave(2, 0), words.flatten(0, 1)[:, :-1])
    assert cached.std() > 0.5
    torch.testing.assert_close(cached, full, atol=1e-5, rtol=1e-5)


def test_a_word_depends_on_those_before_it_alone() -> None:
    gpt, known = make_gpt(), torch.randn(1, 4, 16, generator=seeded())
    words = torch.randint(6, (1, 7), generator=seeded())
    other = words.clone()
    other[0, 4] += 1
    with torch.no_grad():
        one, two = gpt(known, words), gpt(known, other)
    torch.testing.assert_close(one[:, :5], two[:, :5])
    assert (one[:, 5:] - two[:, 5:]).abs().amin(dim=(0, 1)).max() > 1e-3


def test_probabilities_of_all_sentences_sum_to_one_and_samples_follow_them() -> None:
    gpt = make_gpt(num_words=3, length=4)
    known = torch.randn(1, 2, 16, generator=seeded())
    every = torch.cartesian_prod(*[torch.arange(3)] * 2)  # (9, 2)
    with torch.no_grad():
        bits = gpt.bits(known.expand(9, -1, -1), every).sum(1)
        p = (-bits * math.log(2)).exp()
        assert p.sum().item() == pytest.approx(1, abs=1e-5)
        assert p.max() < 0.9
        drawn = gpt.sample(known, 2, 20_000, seeded(5))[0]
    came = (drawn[:, 0] * 3 + drawn[:, 1]).bincount(minlength=9) / len(drawn)
    z = (came - p) / (p * (1 - p) / len(drawn)).sqrt()
    assert z.abs().max() < 5
