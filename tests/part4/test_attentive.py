"""The attentive probe: it finds what is at one token of many, and nothing where nothing is."""

import torch

from part4_dinov3_encoder.scoring.attentive import attentive_probe


def scenes(count: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Tokens (n, 16, 8) of noise, one of them marked, whose other coordinates are the targets."""
    draw = torch.Generator().manual_seed(seed)
    tokens, targets = (
        torch.randn(count, 16, 8, generator=draw),
        torch.randn(count, 2, generator=draw),
    )
    where = torch.randint(16, (count,), generator=draw)
    tokens[:, :, 0] = 0
    tokens[torch.arange(count), where, 0] = 6.0
    tokens[torch.arange(count), where, 1:3] = targets
    return tokens, targets


def test_it_looks_where_the_mark_is_and_claims_nothing_of_noise():
    (z, y), (z_test, y_test) = scenes(1000, 0), scenes(500, 1)
    state = torch.random.get_rng_state()
    r2 = attentive_probe(z, y, z_test, y_test, (1, 4, 4))
    assert r2.min() > 0.6
    assert torch.equal(r2, attentive_probe(z, y, z_test, y_test, (1, 4, 4)))
    assert torch.equal(state, torch.random.get_rng_state())
    noise = torch.randn(y_test.shape, generator=torch.Generator().manual_seed(2))
    assert attentive_probe(z, y, z_test, noise, (1, 4, 4)).max() < 0


def test_it_knows_the_place_and_the_time_of_a_token():
    """One token is bright, all else equal: its column and its frame are the targets."""
    where = torch.arange(32).repeat(20)
    z = torch.zeros(len(where), 32, 4)
    z[torch.arange(len(where)), where] = 1.0
    y = torch.stack([where % 4, where // 16], dim=1).float()
    assert attentive_probe(z, y, z, y, (2, 4, 4)).min() > 0.8
