"""What holds for all losses alike: gradients, types, compilation."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from common import dino, losses, sigreg

Loss = Callable[[Tensor, Tensor], Tensor]
SLICES = sigreg.random_slices(5, 16, torch.Generator().manual_seed(0))


def total(terms: dict[str, Tensor]) -> Tensor:
    return torch.stack(list(terms.values())).sum()


LOSSES: dict[str, Loss] = {
    "vicreg": lambda a, b: total(losses.vicreg(a, b)),
    "barlow_twins": lambda a, b: total(losses.barlow_twins(a, b)),
    "squared_error": losses.squared_error,
    "negative_cosine": losses.negative_cosine,
    "lejepa": lambda a, b: total(losses.lejepa(torch.stack([a, b]), SLICES)),
    "sigreg": lambda a, _: sigreg.sigreg(a, SLICES),
    "cross_entropy": lambda a, b: dino.cross_entropy(
        a, b, torch.zeros(5), student_temperature=1, teacher_temperature=1
    ),
    "gram_anchoring": lambda a, b: dino.gram_anchoring(a[None], b[None]),
}


def pair(dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    draws = torch.Generator().manual_seed(1)
    a, b = (torch.randn(8, 5, generator=draws, dtype=torch.float64).to(dtype) for _ in range(2))
    return a.requires_grad_(), b


@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
def test_gradient_against_finite_differences(loss: Loss) -> None:
    a, b = pair(torch.float64)
    assert torch.autograd.gradcheck(lambda z: loss(z, b), (a,))


@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
def test_float64_is_kept_and_half_precision_is_raised_to_float32(loss: Loss) -> None:
    for given, kept in (
        (torch.float64, torch.float64),
        (torch.float32, torch.float32),
        (torch.bfloat16, torch.float32),
    ):
        assert loss(*pair(given)).dtype == kept
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = loss(*pair(torch.float32))
    assert torch.equal(inside, loss(*pair(torch.float32)))


@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
@pytest.mark.filterwarnings("ignore")
def test_compiled_it_has_the_same_value_gradient_and_errors(loss: Loss) -> None:
    torch._dynamo.reset()
    compiled, (a, b) = torch.compile(loss, backend="aot_eager"), pair(torch.float32)
    found, expected = compiled(a, b), loss(a, b)
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(torch.autograd.grad(found, a), torch.autograd.grad(expected, a))
    with pytest.raises(ValueError, match="not finite"):
        compiled(a * torch.nan, b)


@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
def test_mapped_it_has_the_values_gradients_and_errors_of_a_loop(loss: Loss) -> None:
    draws = torch.Generator().manual_seed(2)
    a, b = torch.randn(2, 3, 8, 5, generator=draws, dtype=torch.float64)
    slope = torch.func.grad(loss)
    for each in (loss, slope):
        expected = torch.stack([each(one, other) for one, other in zip(a, b, strict=True)])
        torch.testing.assert_close(torch.vmap(each)(a, b), expected)
    leaf = a[0].clone().requires_grad_()
    torch.testing.assert_close(slope(a[0], b[0]), torch.autograd.grad(loss(leaf, b[0]), leaf)[0])
    a[1, 0, 0] = torch.nan
    with pytest.raises(ValueError, match="not finite"):
        torch.vmap(loss)(a, b)


def test_the_module_is_the_function_and_a_resumed_one_goes_on_with_its_slices() -> None:
    z, draws = pair(torch.float32)[0], torch.Generator().manual_seed(3)
    module = sigreg.SIGReg(16, seed=3)
    for _ in range(2):  # anew in each call
        assert torch.equal(module(z), sigreg.sigreg(z, sigreg.random_slices(5, 16, draws)))
    resumed = sigreg.SIGReg(16)
    resumed.load_state_dict(module.state_dict())
    assert torch.equal(resumed(z), module(z))


def test_the_example_of_the_page_is_lejepas_loss_and_reads_published_weights() -> None:
    page = Path(losses.__file__).with_name("README.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    names: dict[str, Any] = {}
    exec(example, names)
    z_pred, z, tokens = names["z_pred"], names["z"], names["tokens"]
    slices = sigreg.random_slices(16, 1024, torch.Generator().manual_seed(0))
    expected = (z_pred - z).square().mean() + sigreg.sigreg(z, slices) / 256
    torch.testing.assert_close(names["loss"], expected)
    assert tokens.shape == (8, 64, 96)
