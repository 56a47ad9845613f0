"""The small networks are the convolutions and the residual MLP that they say they are."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from common.encoders import ConvDecoder, ConvEncoder, gather_patches, spread_patches
from common.predictors import Predictor


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def encoder(in_channels: int = 1, size: int = 64) -> ConvEncoder:
    torch.manual_seed(0)
    return ConvEncoder(in_channels=in_channels, channels=(6, 10), size=size, embedding_dim=7)


def decoder(out_channels: int = 1, size: int = 64) -> ConvDecoder:
    torch.manual_seed(0)
    return ConvDecoder(out_channels=out_channels, channels=(6, 10), size=size, embedding_dim=7)


def predictor(num_hypotheses: int, history_length: int = 2, action_dim: int = 0) -> Predictor:
    torch.manual_seed(0)
    return Predictor(
        embedding_dim=5,
        history_length=history_length,
        action_dim=action_dim,
        num_hypotheses=num_hypotheses,
        hidden_dim=16,
    )


@pytest.mark.parametrize(("side", "channels"), [(1, 1), (2, 3), (4, 2), (8, 1)])
def test_patches_are_gathered_and_spread_back(side: int, channels: int) -> None:
    x = torch.randn(2, 16, 24, channels, generator=seeded())
    patches = gather_patches(x, side)
    assert patches.shape == (2, 16 // side, 24 // side, side * side * channels)
    for i in range(16 // side):
        for j in range(24 // side):
            rows, columns = slice(i * side, (i + 1) * side), slice(j * side, (j + 1) * side)
            assert torch.equal(patches[:, i, j], x[:, rows, columns].flatten(1))
    assert torch.equal(spread_patches(patches, side), x)
    assert torch.equal(gather_patches(spread_patches(patches, side), side), patches)


def as_convolution(linear: nn.Linear, side: int) -> Tensor:
    """The weight (out, in, side, side) of the convolution that a layer on patches is."""
    return linear.weight.unflatten(1, (side, side, -1)).permute(0, 3, 1, 2)


@pytest.mark.parametrize(("in_channels", "size"), [(1, 64), (3, 32)])
def test_the_encoder_is_convolutions_with_kernel_equal_to_stride(
    in_channels: int, size: int
) -> None:
    net = encoder(in_channels, size)
    x = torch.rand(4, in_channels, size, size, generator=seeded())
    h = F.conv2d(x, as_convolution(net.patch, 8), net.patch.bias, stride=8).relu()
    h = F.conv2d(h, as_convolution(net.merge, 2), net.merge.bias, stride=2).relu()
    expected = net.head(h.permute(0, 2, 3, 1).flatten(1))
    assert net(x).shape == (4, 7)
    torch.testing.assert_close(net(x), expected)


@pytest.mark.parametrize(("out_channels", "size"), [(1, 64), (3, 32)])
def test_the_decoder_is_transposed_convolutions_with_kernel_equal_to_stride(
    out_channels: int, size: int
) -> None:
    """Only the bias differs: here one for each place in a patch."""
    net = decoder(out_channels, size)
    z = torch.randn(4, 7, generator=seeded())
    h = net.head(z).relu().view(4, size // 16, size // 16, 10).permute(0, 3, 1, 2)
    for layer, side in ((net.merge, 2), (net.patch, 8)):
        weight = layer.weight.unflatten(0, (side, side, -1)).permute(3, 2, 0, 1)
        h = F.conv_transpose2d(h, weight, stride=side)
        bias = layer.bias.view(side, side, -1).permute(2, 0, 1)
        h = h + bias.repeat(1, h.shape[2] // side, h.shape[3] // side)
        h = h.relu() if layer is net.merge else h
    assert net(z).shape == (4, out_channels, size, size)
    torch.testing.assert_close(net(z), h)


def test_moving_by_a_patch_moves_the_features_by_one() -> None:
    net = encoder()
    x = torch.rand(2, 64, 64, 1, generator=seeded())
    here = net.patch(gather_patches(x, 8))
    there = net.patch(gather_patches(x.roll((8, -16), dims=(1, 2)), 8))
    torch.testing.assert_close(there, here.roll((1, -2), dims=(1, 2)))
    half = net.patch(gather_patches(x.roll(4, dims=1), 8))
    assert not torch.allclose(half, here, atol=1e-2)


def test_every_pixel_is_seen_and_every_pixel_is_drawn() -> None:
    torch.manual_seed(0)
    wide = ConvEncoder(in_channels=1, channels=(64, 128), size=64, embedding_dim=32)
    x = torch.rand(8, 1, 64, 64, generator=seeded(), requires_grad=True)
    (seen,) = torch.autograd.grad(wide(x).square().sum(), x)
    assert (seen.abs().sum(0) > 0).all()
    z = torch.randn(50, 7, generator=seeded())
    assert (decoder()(z).std(0) > 0).all()


def test_the_predictor_adds_to_the_last_embedding() -> None:
    net, z_past = predictor(3), torch.randn(4, 2, 5, generator=seeded())
    nn.init.zeros_(net.rest[-1].weight)  # type: ignore[arg-type]
    nn.init.zeros_(net.rest[-1].bias)  # type: ignore[arg-type]
    z_pred, log_odds = net(z_past)
    assert log_odds.shape == (4, 3)
    assert torch.equal(z_pred, z_past[:, -1:].expand(4, 3, 5))


def test_one_hypothesis_is_the_deterministic_predictor() -> None:
    net, z_past = predictor(1), torch.randn(4, 2, 5, generator=seeded())
    z_pred, log_odds = net(z_past)
    assert z_pred.shape == (4, 1, 5)
    assert log_odds.shape == (4, 1)
    plain = z_past[:, -1] + net.rest(net.first(z_past.flatten(1)))
    torch.testing.assert_close(z_pred[:, 0], plain)


def test_hypotheses_differ_by_the_code_of_z_alone() -> None:
    net, z_past = predictor(4), torch.randn(6, 2, 5, generator=seeded())
    z_pred, _ = net(z_past)
    apart = (z_pred.unsqueeze(1) - z_pred.unsqueeze(2)).norm(dim=-1)
    assert apart[:, ~torch.eye(4, dtype=torch.bool)].min() > 1e-3
    with torch.no_grad():
        swapped = net.code[[1, 0, 2, 3]]
        net.code.copy_(swapped)
    torch.testing.assert_close(net(z_past)[0], z_pred[:, [1, 0, 2, 3]])
    nn.init.zeros_(net.code)
    same, _ = net(z_past)
    torch.testing.assert_close(same, same[:, :1].expand_as(same))


def test_the_whole_past_and_its_order_matter() -> None:
    net, z_past = predictor(2, history_length=3), torch.randn(4, 3, 5, generator=seeded())
    z_pred, _ = net(z_past)
    for t in range(3):
        other = z_past.clone()
        other[:, t] += 1
        assert (net(other)[0] - z_pred).abs().amax((1, 2)).min() > 1e-3
    backwards, _ = net(z_past.flip(1))
    assert not torch.allclose(backwards, z_pred, atol=1e-2)
    order = torch.tensor([2, 0, 3, 1])
    torch.testing.assert_close(net(z_past[order])[0], z_pred[order])


def test_the_action_is_used() -> None:
    net, z_past = predictor(2, action_dim=2), torch.randn(4, 2, 5, generator=seeded())
    left, _ = net(z_past, torch.tensor([[-1.0, 0.0]]).expand(4, 2))
    right, _ = net(z_past, torch.tensor([[1.0, 0.0]]).expand(4, 2))
    assert (left - right).abs().amax((1, 2)).min() > 1e-3
    with pytest.raises(RuntimeError):
        net(z_past)  # a predictor made for actions does not run without one


def test_learning_the_odds_leaves_the_embeddings_alone() -> None:
    net = predictor(3)
    z_past = torch.randn(4, 2, 5, generator=seeded(), requires_grad=True)
    _, log_odds = net(z_past)
    F.cross_entropy(log_odds, torch.tensor([0, 1, 2, 0])).backward()
    touched = {name for name, p in net.named_parameters() if p.grad is not None}
    assert touched == {"log_odds.weight", "log_odds.bias"}
    assert z_past.grad is None
