"""One small vision transformer, for pictures and for clips.

Tokens are patches (of P x P px) or tubelets (of P x P px over several frames). A position is told
by sines and cosines of the patch's middle, each axis mapped to [-1, 1] (as DINOv3 does), so that
the same weights read a crop of 4 x 4 patches and a photograph of 28 x 28. There is no CLS token:
what stands for a whole picture is the mean of its patch tokens, so that a loss on the picture
trains them too. Blocks are pre-norm (ViT, arXiv 2010.11929, eq. 1-4).
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

HIGHEST = 8 * math.pi  # of the frequencies of the places: 8 periods across the picture
PLACE_SCALE = 0.3  # of places beside patches of about unit variance: louder, they are all one sees


class Block(nn.Module):
    """Tokens (B, N, D) -> (B, N, D): attention, then an MLP of four times the width, pre-norm.

    condition (B, N, C), of condition_dim, modulates both halves by adaptive layer norm whose gates
    start at zero (DiT, arXiv 2212.09748, sec. 3.2). causal: a token sees itself and those before;
    mask (N, N) bool: true where a row's token sees a column's; cache: tokens that were read before
    are seen too, and these are added to them. Into a cache that holds some, give one token.
    """

    def __init__(
        self, *, dim: int, num_heads: int, head_dim: int | None = None, mlp_dim: int | None = None,
        condition_dim: int = 0,
    ) -> None:  # fmt: skip
        super().__init__()
        self.num_heads = num_heads
        inner, affine = num_heads * (head_dim or dim // num_heads), condition_dim == 0
        self.attention_norm = nn.LayerNorm(dim, elementwise_affine=affine)
        self.qkv = nn.Linear(dim, 3 * inner)
        self.merge = nn.Linear(inner, dim)
        self.mlp_norm = nn.LayerNorm(dim, elementwise_affine=affine)
        wide = mlp_dim or 4 * dim
        self.mlp = nn.Sequential(nn.Linear(dim, wide), nn.GELU(), nn.Linear(wide, dim))
        self.modulate = nn.Linear(condition_dim, 6 * dim) if condition_dim else None
        if self.modulate is not None:
            nn.init.zeros_(self.modulate.weight)
            nn.init.zeros_(self.modulate.bias)

    def forward(
        self, x: Tensor, condition: Tensor | None = None, *, causal: bool = False,
        mask: Tensor | None = None, cache: "Cache | None" = None,
    ) -> Tensor:  # fmt: skip
        if self.modulate is None or condition is None:
            x = x + self._attend(self.attention_norm(x), causal, mask, cache)
            return x + self.mlp(self.mlp_norm(x))
        shift, scale, gate, shift2, scale2, gate2 = self.modulate(F.silu(condition)).chunk(6, -1)
        x = x + gate * self._attend(self.attention_norm(x) * (1 + scale) + shift, causal, mask)
        return x + gate2 * self.mlp(self.mlp_norm(x) * (1 + scale2) + shift2)

    def _attend(
        self, x: Tensor, causal: bool, mask: Tensor | None, cache: "Cache | None" = None
    ) -> Tensor:
        q, k, v = self.qkv(x).unflatten(-1, (3, self.num_heads, -1)).transpose(1, 3).unbind(2)
        if cache is not None:
            k, v = cache.extend(k, v)
        mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=causal)
        return self.merge(mixed.transpose(1, 2).flatten(2))  # of (B, heads, N, D / heads)


class Cache:
    """The keys and values of the tokens that a block has read, so that each is read once.

    At most ``length`` of them; keys, values (B, heads, length, D / heads), filled up to ``count``.
    """

    def __init__(self, length: int) -> None:
        self.length, self.count = length, 0
        self.keys = self.values = torch.empty(0)

    def extend(self, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Adds those of the next tokens, (B, heads, n, D / heads); returns all there are."""
        if self.count == 0:
            self.keys, self.values = (
                x.new_empty(*x.shape[:2], self.length, x.shape[3]) for x in (k, v)
            )
        begin, self.count = self.count, self.count + k.shape[2]
        self.keys[:, :, begin : self.count] = k
        self.values[:, :, begin : self.count] = v
        return self.keys[:, :, : self.count], self.values[:, :, : self.count]

    def repeat(self, times: int) -> None:
        """Gives every sequence of the batch so many copies, one after another."""
        self.keys = self.keys.repeat_interleave(times, 0)
        self.values = self.values.repeat_interleave(times, 0)


class ViT(nn.Module):
    """Pictures (B, C, H, W) or clips (B, T, C, H, W) in [0, 1] -> normed patch tokens (B, N, D).

    H and W must be divisible by patch_size, T by tubelet; a picture is read as a clip that stands
    still. N counts time first, then rows, then columns. dim must be divisible by 4 and num_heads.
    """

    def __init__(
        self, *, channels: int, patch_size: int, tubelet: int, dim: int, depth: int, num_heads: int
    ) -> None:
        super().__init__()
        if dim % 4 or dim % num_heads:
            got = f"dim {dim} and num_heads {num_heads}"
            raise ValueError(f"got {got}; wanted dim divisible by 4 and by num_heads")
        self.patch_size, self.tubelet, self.dim = patch_size, tubelet, dim
        self.patch = nn.Linear(tubelet * channels * patch_size**2, dim)
        nn.init.normal_(self.patch.weight, std=2 / math.sqrt(self.patch.in_features))
        self.blocks = nn.Sequential(*(Block(dim=dim, num_heads=num_heads) for _ in range(depth)))
        self.norm = nn.LayerNorm(dim)

    def forward(self, x: Tensor, keep: Tensor | None = None) -> Tensor:
        """keep (B, n): only these tokens are seen, and returned, (B, n, D)."""
        return self.depths(x, keep)[-1]

    def depths(self, x: Tensor, keep: Tensor | None = None) -> list[Tensor]:
        """The tokens after each block, the last ones normed: depth x (B, N, D)."""
        if x.ndim == 4:
            x = x.unsqueeze(1).expand(-1, self.tubelet, -1, -1, -1)
        patches = patchify(x, self.patch_size, self.tubelet)  # (B, T', H', W', .)
        place = places(patches.shape[1:4], self.dim, x.device)
        tokens = (self.patch(2 * patches - 1) + PLACE_SCALE * place).flatten(1, 3)  # (B, N, D)
        if keep is not None:
            tokens = pick_tokens(tokens, keep)
        found = []
        for block in self.blocks:
            tokens = block(tokens)
            found.append(tokens)
        return [*found[:-1], self.norm(tokens)]


class TokenPredictor(nn.Module):
    """Tokens at other places, from tokens that were seen: a narrow transformer.

    context (B, n, D) at places where (B, n), wanted places (B, m) of a grid (T', H', W') -> (B, n +
    m, out_dim), D by default: of what was seen, then of what is wanted. A wanted token is one
    learnt vector plus its place. I-JEPA, arXiv 2301.08243, sec. 3.
    """

    def __init__(
        self, *, dim: int, hidden_dim: int, depth: int, num_heads: int, out_dim: int | None = None
    ) -> None:
        super().__init__()
        self.hidden_dim = hidden_dim
        self.enter = nn.Linear(dim, hidden_dim)
        self.mask_token = nn.Parameter(0.02 * torch.randn(hidden_dim))
        self.blocks = nn.Sequential(
            *(Block(dim=hidden_dim, num_heads=num_heads) for _ in range(depth))
        )
        self.norm = nn.LayerNorm(hidden_dim)
        self.leave = nn.Linear(hidden_dim, out_dim or dim)

    def forward(
        self, context: Tensor, where: Tensor, wanted: Tensor, grid: tuple[int, int, int]
    ) -> Tensor:
        place = places(grid, self.hidden_dim, context.device).flatten(0, 2)  # (N, hidden)
        seen = self.enter(context) + place[where]
        asked = self.mask_token + place[wanted]
        return self.leave(self.norm(self.blocks(torch.cat([seen, asked], dim=1))))


def patchify(x: Tensor, patch_size: int, tubelet: int = 1) -> Tensor:
    """Clips (B, T, C, H, W) -> tubelets (B, T / tubelet, H / P, W / P, tubelet P^2 C).

    Raises ValueError for sizes that do not divide.
    """
    length, _, height, width = x.shape[1:]
    if length % tubelet or height % patch_size or width % patch_size:
        wanted = f"multiples of {tubelet} frames and {patch_size} px"
        raise ValueError(f"got {length} frames of {height} x {width} px; wanted {wanted}")
    x = x.unflatten(4, (-1, patch_size)).unflatten(3, (-1, patch_size))
    x = x.unflatten(1, (-1, tubelet))  # (B, T', tubelet, C, H', P, W', P)
    return x.permute(0, 1, 4, 6, 2, 3, 5, 7).flatten(4)


def pick_tokens(tokens: Tensor, index: Tensor) -> Tensor:
    """Tokens (B, N, D) at index (B, n): (B, n, D)."""
    return tokens.gather(1, index.unsqueeze(-1).expand(-1, -1, tokens.shape[-1]))


def places(
    grid: tuple[int, ...] | torch.Size, dim: int, device: torch.device | str = "cpu"
) -> Tensor:
    """What is added to tokens of a grid (T', H', W') to tell where they are, (T', H', W', dim).

    A quarter of dim each: sine and cosine of y, then of x, at frequencies from half a period
    across the picture to eight. Time adds sin(t / k), k = 1 .. dim: nothing at the first tubelet.
    """
    length, rows, columns = grid
    quarter = dim // 4
    frequency = torch.logspace(
        math.log10(math.pi / 2), math.log10(HIGHEST), quarter, device=device
    )  # (dim / 4,)
    parts = []
    for size, axis in ((rows, 0), (columns, 1)):
        middle = (2 * torch.arange(size, device=device) + 1) / size - 1  # in [-1, 1]
        angle = (middle[:, None] * frequency).unsqueeze(1 - axis)  # (size, dim / 4) and a 1
        angle = angle.expand(rows, columns, quarter)
        parts += [angle.sin(), angle.cos()]
    time = torch.arange(length, device=device)[:, None] / torch.arange(1, dim + 1, device=device)
    return torch.cat(parts, dim=-1) + time.sin()[:, None, None]
