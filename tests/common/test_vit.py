"""The small vision transformer and what trains it: masks, clusters, Gram anchoring."""

import math

import pytest
import torch
from torch.nn import functional as F

from common.dino import gram_anchoring
from common.masking import clip_masks, patches_apart, picture_masks
from common.probes import kmeans, nearest
from common.vit import Block, TokenPredictor, ViT, patchify, pick_tokens, places

SIZES = {"channels": 3, "patch_size": 4, "dim": 16, "depth": 2, "num_heads": 2}
MASKS = {
    "num_targets": 4, "target_scale": (0.1, 0.18), "target_aspect": (0.75, 1.5),
    "context_scale": (0.85, 1.0), "least_context": 4,
}  # fmt: skip
LONG = {"num_blocks": 2, "scale": 0.7, "aspect": (0.75, 1.5), "least_context": 4}
SHORT = LONG | {"num_blocks": 8, "scale": 0.15}


def make_vit(tubelet: int = 1) -> ViT:
    torch.manual_seed(0)
    return ViT(tubelet=tubelet, **SIZES)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_patches_are_row_by_row_and_hold_their_own_pixels():
    x = torch.arange(2 * 1 * 3 * 8 * 12, dtype=torch.float32).view(2, 1, 3, 8, 12)
    patches = patchify(x, 4)
    assert patches.shape == (2, 1, 2, 3, 48)
    for row in range(2):
        for column in range(3):
            tile = x[:, 0, :, 4 * row : 4 * row + 4, 4 * column : 4 * column + 4]
            assert torch.equal(patches[:, 0, row, column], tile.flatten(1))


def test_a_tubelet_holds_its_frames_in_order():
    x = torch.rand(2, 4, 3, 8, 8)
    tubelets = patchify(x, 4, 2)
    assert tubelets.shape == (2, 2, 2, 2, 96)
    assert torch.equal(tubelets[:, 1, 0, 1, :48], patchify(x[:, 2:3], 4)[:, 0, 0, 1])
    assert torch.equal(tubelets[:, 1, 0, 1, 48:], patchify(x[:, 3:4], 4)[:, 0, 0, 1])


@pytest.mark.parametrize(("height", "width", "length"), [(10, 8, 2), (8, 10, 2), (8, 8, 3)])
def test_sizes_that_do_not_divide(height, width, length):
    with pytest.raises(ValueError, match="wanted multiples of 2 frames and 4 px"):
        patchify(torch.rand(1, length, 3, height, width), 4, 2)


def test_several_sizes_and_clips():
    vit = make_vit()
    for height, width, n in ((16, 16, 16), (8, 24, 12), (4, 4, 1)):
        assert vit(torch.rand(2, 3, height, width)).shape == (2, n, 16)
    clip = make_vit(tubelet=2)
    assert clip(torch.rand(2, 4, 3, 8, 8)).shape == (2, 8, 16)
    picture = torch.rand(2, 3, 8, 8)
    still = picture.unsqueeze(1).expand(-1, 2, -1, -1, -1)
    assert torch.equal(clip(picture), clip(still))


def test_tokens_are_normed():
    tokens = make_vit()(torch.rand(3, 3, 16, 16))
    torch.testing.assert_close(tokens.mean(-1), torch.zeros(3, 16), atol=1e-5, rtol=0)
    torch.testing.assert_close(tokens.var(-1, unbiased=False), torch.ones(3, 16), atol=1e-3, rtol=0)


def test_attention_against_a_loop():
    torch.manual_seed(0)
    block, x = Block(dim=8, num_heads=2), torch.randn(1, 3, 8)
    qkv = F.linear(block.attention_norm(x), block.qkv.weight, block.qkv.bias)[0]  # (3, 24)
    heads = []
    for h in range(2):
        q, k, v = (qkv[:, 8 * i + 4 * h : 8 * i + 4 * h + 4] for i in range(3))
        heads.append((q @ k.T / math.sqrt(4)).softmax(-1) @ v)
    y = x[0] + block.merge(torch.cat(heads, dim=1))
    wanted = y + block.mlp(block.mlp_norm(y))
    torch.testing.assert_close(block(x)[0], wanted)


def test_hidden_patches_have_no_influence_and_order_is_kept():
    vit, x = make_vit(), torch.rand(2, 3, 16, 16)
    keep = torch.tensor([[0, 5, 7], [15, 3, 2]])
    seen = vit(x, keep)
    assert seen.shape == (2, 3, 16)
    other = torch.rand(2, 3, 16, 16)
    for b in range(2):
        for token in keep[b].tolist():
            rows, columns = (slice(4 * i, 4 * i + 4) for i in divmod(token, 4))
            other[b, :, rows, columns] = x[b, :, rows, columns]
    torch.testing.assert_close(vit(other, keep), seen)
    torch.testing.assert_close(vit(x, keep.flip(1)), seen.flip(1))
    everything = torch.arange(16).expand(2, -1)
    torch.testing.assert_close(vit(x, everything), vit(x))


def test_places_differ_everywhere_and_do_not_depend_on_the_size_of_the_picture():
    table = places((2, 5, 7), 16).flatten(0, 2)
    gaps = torch.cdist(table, table) + 10 * torch.eye(len(table))
    assert gaps.min() > 0.05
    small, large = places((1, 3, 3), 16), places((1, 9, 9), 16)
    torch.testing.assert_close(small[0, 1, 1], large[0, 4, 4])  # the middle of the picture
    torch.testing.assert_close(small[0, 0, 2], large[0, 1, 7])
    assert torch.equal(places((3, 4, 4), 16)[0], places((1, 4, 4), 16)[0])


def test_a_dim_that_does_not_fit():
    with pytest.raises(ValueError, match="divisible by 4 and by num_heads"):
        ViT(channels=3, patch_size=4, tubelet=1, dim=18, depth=1, num_heads=2)


def test_the_predictor_answers_for_the_places_asked():
    torch.manual_seed(0)
    predictor = TokenPredictor(dim=16, hidden_dim=8, depth=1, num_heads=2)
    context, where = torch.randn(2, 3, 16), torch.tensor([[0, 1, 2], [3, 4, 5]])
    wanted = torch.tensor([[6, 7], [8, 0]])
    out = predictor(context, where, wanted, (1, 3, 3))
    assert out.shape == (2, 5, 16)  # those seen, then those wanted
    turned = predictor(context, where, wanted.flip(1), (1, 3, 3))
    torch.testing.assert_close(turned, torch.cat([out[:, :3], out[:, 3:].flip(1)], dim=1))
    moved = predictor(context, where.flip(1), wanted, (1, 3, 3))
    assert (moved - out).abs().max() > 1e-3


def test_tokens_of_all_depths_end_in_those_of_the_last():
    vit, x = make_vit(), torch.rand(2, 3, 16, 16)
    depths = vit.depths(x)
    assert len(depths) == SIZES["depth"]
    assert torch.equal(depths[-1], vit(x))
    torch.testing.assert_close(vit.norm(vit.blocks[1](depths[0])), depths[1])


# Masks.


@pytest.mark.parametrize(("rows", "columns"), [(8, 8), (8, 12)])
def test_the_context_holds_no_target_and_no_patch_twice(rows, columns):
    for seed in range(20):
        draws = (
            picture_masks(rows, columns, 16, seeded(seed), **MASKS),
            clip_masks(rows, columns, 16, seeded(seed), **SHORT),
            clip_masks(rows, columns, 16, seeded(seed), **LONG),
        )
        for (seen, wanted), blocks in zip(draws, (4, 1, 1), strict=True):
            assert wanted.shape[:2] == (blocks, 16)
            assert seen.shape[0] == 16
            assert seen.shape[1] >= 4
            for a, b in zip(seen.tolist(), wanted.movedim(0, 1).flatten(1).tolist(), strict=True):
                assert not set(a) & set(b)
                assert len(set(a)) == len(a)
                assert 0 <= min(a + b) <= max(a + b) < rows * columns


def test_targets_are_blocks():
    _, wanted = picture_masks(8, 8, 8, seeded(3), **MASKS)
    for block in wanted.flatten(0, 1).tolist():
        y, x = [i // 8 for i in block], [i % 8 for i in block]
        area = (max(y) - min(y) + 1) * (max(x) - min(x) + 1)
        assert area == wanted.shape[2] == len(set(block))


def test_long_range_masks_hide_most_of_a_clip():
    hidden = [clip_masks(8, 8, 64, seeded(seed), **LONG)[0].shape[1] for seed in range(20)]
    assert max(hidden) <= 16  # of 64 patches are seen


def test_every_patch_is_seen_and_predicted_at_times():
    for draw in (
        lambda g: picture_masks(8, 8, 32, g, **MASKS), lambda g: clip_masks(8, 8, 32, g, **SHORT)
    ):  # fmt: skip
        drawn = [draw(seeded(seed)) for seed in range(10)]
        for index in range(2):
            assert len(torch.cat([masks[index].flatten() for masks in drawn]).unique()) == 64


def test_blocks_that_leave_nothing_to_see():
    whole = {"target_scale": (1.0, 1.0), "target_aspect": (1.0, 1.0)}
    with pytest.raises(ValueError, match="use fewer or smaller blocks"):
        picture_masks(8, 8, 4, seeded(), **(MASKS | whole))
    with pytest.raises(ValueError, match="use fewer or smaller blocks"):
        clip_masks(8, 8, 4, seeded(), **(LONG | {"least_context": 60}))


def test_patches_apart_by_hand():
    seen, hidden = torch.tensor([[0, 7, 16 + 5]]), torch.tensor([[15, 16 + 15]])
    found = patches_apart(seen, hidden, (2, 4, 4))  # (0, 0), (1, 3), (1, 1) from (3, 3)
    torch.testing.assert_close(found, torch.tensor([[18**0.5, 2.0, 8**0.5]]))


def test_pick_tokens():
    tokens = torch.randn(2, 5, 3)
    picked = pick_tokens(tokens, torch.tensor([[4, 0], [1, 1]]))
    assert torch.equal(picked[0, 0], tokens[0, 4])
    assert torch.equal(picked[1, 1], tokens[1, 1])


# Gram anchoring.


def test_gram_anchoring_by_hand():
    student = torch.tensor([[[1.0, 0.0], [0.0, 2.0]]])  # orthogonal
    teacher = torch.tensor([[[3.0, 0.0], [1.0, 0.0]]])  # alike
    assert gram_anchoring(student, teacher).item() == pytest.approx(2 / 4)
    assert gram_anchoring(student, -student).item() == pytest.approx(0, abs=1e-12)


def test_gram_anchoring_lets_features_turn_and_grow_together():
    z = torch.randn(3, 7, 5, generator=seeded())
    turn, _ = torch.linalg.qr(torch.randn(5, 5, generator=seeded(1)))
    assert gram_anchoring(4 * z @ turn, z).item() < 1e-10
    assert gram_anchoring(z + torch.randn(z.shape, generator=seeded(2)), z).item() > 1e-2


def test_gram_anchoring_moves_the_student_alone():
    student, teacher = (torch.randn(2, 4, 3, generator=seeded(s)).requires_grad_() for s in (0, 1))
    gram_anchoring(student, teacher).backward()
    assert student.grad is not None
    assert student.grad.abs().sum() > 0
    assert teacher.grad is None
    with pytest.raises(ValueError, match="the same shape"):
        gram_anchoring(student, teacher[:, :2])


# Clusters.


def test_kmeans_finds_clusters_that_are_far_apart():
    middles = torch.tensor([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0]])
    label = torch.randint(3, (300,), generator=seeded())
    x = middles[label] + torch.randn(300, 2, generator=seeded(1))
    found, cluster = kmeans(x, 3, seeded(2))
    assert torch.equal(cluster, nearest(x, found))
    for c in range(3):
        assert len(cluster[label == c].unique()) == 1
    again = kmeans(x, 3, seeded(2))
    assert torch.equal(again[0], found)


def test_kmeans_of_samples_that_are_all_the_same():
    found, cluster = kmeans(torch.ones(10, 2), 3, seeded())
    assert found.isfinite().all()
    assert cluster.shape == (10,)
    with pytest.raises(ValueError, match="wanted 1 to 10"):
        kmeans(torch.ones(10, 2), 11, seeded())
