"""DINO's loss and centre against the authors' formulas; the teacher and the heads."""

import math

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from common.dino import Centre, cross_entropy, dino
from common.ema import ema_rate, initial_share, make_teacher, update_teacher
from common.heads import MLP, BatchNorm, DinoHead


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def official(
    student: Tensor,
    teacher: Tensor,
    centre: Tensor,
    t_student: float,
    t_teacher: float,
    momentum: float = 0.9,
) -> tuple[Tensor, Tensor]:
    """Loss and next centre, by the loops of the authors' DINOLoss: (V, B, K) and (G, B, K)."""
    target = F.softmax((teacher - centre) / t_teacher, dim=-1)
    total, count = torch.zeros((), dtype=torch.float64), 0
    for g in range(len(teacher)):
        for v in range(len(student)):
            if v == g:
                continue
            loss = torch.sum(-target[g] * F.log_softmax(student[v] / t_student, dim=-1), dim=-1)
            total, count = total + loss.mean(), count + 1
    mean = teacher.flatten(0, 1).mean(0)
    return total / count, centre * momentum + mean * (1 - momentum)


@pytest.mark.parametrize("num_views", [2, 6])
@pytest.mark.parametrize("temperatures", [(0.1, 0.04), (0.2, 0.07), (1.0, 1.0)])
def test_equals_the_authors_formula(num_views: int, temperatures: tuple[float, float]) -> None:
    student = (normal(num_views, 5, 7) / 3).requires_grad_()
    teacher, centre = normal(2, 5, 7, seed=1) / 3, normal(7, seed=2) / 3
    t_student, t_teacher = temperatures
    found = dino(
        student.float(),
        teacher.float(),
        centre.float(),
        student_temperature=t_student,
        teacher_temperature=t_teacher,
    )["cross_entropy"]
    expected, _ = official(student, teacher, centre, t_student, t_teacher)
    torch.testing.assert_close(found.double(), expected, rtol=1e-5, atol=1e-6)
    (gradient,) = torch.autograd.grad(found, student)
    (reference,) = torch.autograd.grad(expected, student)
    assert (gradient - reference).norm() < 1e-5 * reference.norm()


@pytest.mark.parametrize("momentum", [0.0, 0.5, 0.9, 0.999])
def test_centre_follows_the_teachers_mean(momentum: float) -> None:
    centre, expected = Centre(7, momentum=momentum), torch.zeros(7, dtype=torch.float64)
    for step in range(3):
        teacher = normal(2, 5, 7, seed=step)
        _, expected = official(normal(2, 5, 7), teacher, expected, 0.1, 0.04, momentum)
        centre.update(teacher)
    torch.testing.assert_close(centre.mean.double(), expected, rtol=1e-5, atol=1e-6)
    assert "mean" in centre.state_dict()  # saved with the checkpoint


def test_steps_of_training_equal_those_on_the_authors_formula() -> None:
    """The gradient after a step meets a moved student and a moved centre."""
    teacher = normal(2, 5, 7, seed=1) / 3
    ours, theirs = (normal(3, 5, 7).div(3).requires_grad_() for _ in range(2))
    centre, expected = Centre(7), torch.zeros(7, dtype=torch.float64)
    for _ in range(3):
        (mine,) = torch.autograd.grad(
            dino(ours.float(), teacher.float(), centre.mean)["cross_entropy"], ours
        )
        loss, moved = official(theirs, teacher, expected, 0.1, 0.04)
        (reference,) = torch.autograd.grad(loss, theirs)
        assert (mine - reference).norm() < 1e-5 * reference.norm()
        centre.update(teacher)
        expected = moved
        with torch.no_grad():
            ours -= 5 * mine
            theirs -= 5 * reference


def test_known_values() -> None:
    zero = torch.zeros(4, 8)
    assert cross_entropy(zero, zero, torch.zeros(8)).item() == pytest.approx(math.log(8))
    sure = torch.zeros(4, 8)
    sure[:, 3] = 10.0
    assert cross_entropy(sure, sure, torch.zeros(8)).item() == pytest.approx(0, abs=1e-6)


def test_centring_and_sharpening_undo_the_two_collapses() -> None:
    sure = torch.zeros(4, 8)
    sure[:, 3] = 1.0  # one prototype wins for every sample ...
    centre = Centre(8, momentum=0.0)
    centre.update(sure)
    student = torch.zeros(4, 8, requires_grad=True)
    loss = cross_entropy(student, sure, centre.mean)
    assert torch.autograd.grad(loss, student)[0].abs().max() < 1e-6  # ... and centred, none does
    mild = 0.1 * F.one_hot(torch.arange(4), 8).float()
    best = []  # the cross-entropy of a student that says the same is the target's entropy
    for temperature in (1.0, 0.04):
        same = {"student_temperature": temperature, "teacher_temperature": temperature}
        best.append(cross_entropy(mild, mild, torch.zeros(8), **same).item())
    assert best[0] > 0.99 * math.log(8) > best[1] + 0.1  # a low temperature sharpens


def test_no_gradient_reaches_the_teacher() -> None:
    student, teacher = normal(4, 8).requires_grad_(), normal(4, 8, seed=1).requires_grad_()
    cross_entropy(student, teacher, torch.zeros(8)).backward()
    assert teacher.grad is None
    assert student.grad is not None


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: dino(torch.zeros(1, 4, 8), torch.zeros(1, 4, 8), torch.zeros(8)),
            "wanted at least two views",
        ),
        (
            lambda: cross_entropy(torch.zeros(4, 8), torch.zeros(4, 7), torch.zeros(8)),
            r"shapes \(4, 8\) and \(4, 7\); wanted two of the same shape \(B, K\)",
        ),
        (
            lambda: cross_entropy(
                torch.zeros(4, 8), torch.zeros(4, 8), torch.zeros(8), teacher_temperature=0.0
            ),
            "got temperatures 0.1 and 0.0; wanted both above 0",
        ),
        (
            lambda: cross_entropy(torch.full((4, 8), math.nan), torch.zeros(4, 8), torch.zeros(8)),
            "got 32 of 32 values that are not finite",
        ),
        (lambda: Centre(8, momentum=1.0), r"got momentum=1.0; wanted a number in \[0, 1\)"),
        (lambda: ema_rate(0, 10, 1.1), r"got an EMA rate of 1.1; wanted a number in \[0, 1\]"),
        (lambda: ema_rate(0, 10, -0.1), r"got an EMA rate of -0.1; wanted a number in \[0, 1\]"),
        (
            lambda: update_teacher(nn.Linear(1, 1), nn.Linear(1, 1), 1.5),
            r"got an EMA rate of 1.5; wanted a number in \[0, 1\]",
        ),
    ],
)
def test_errors(call, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()


def test_teacher_is_an_exponential_average() -> None:
    student = nn.Sequential(nn.Linear(2, 3), BatchNorm(3))
    teacher = make_teacher(student)
    assert not any(p.requires_grad for p in teacher.parameters())
    assert not teacher.training
    first = student[0].weight.detach().clone()
    with torch.no_grad():
        student[0].weight += 1
        student[1].running_mean += 2
    update_teacher(teacher, student, 0.75)
    torch.testing.assert_close(teacher[0].weight, first + 0.25)
    torch.testing.assert_close(teacher[1].running_mean, student[1].running_mean)
    update_teacher(teacher, student, 0.0)
    torch.testing.assert_close(teacher[0].weight, student[0].weight)


def test_ema_rate_rises_to_one() -> None:
    rates = [ema_rate(step, 100, 0.9) for step in range(101)]
    assert rates[0] == pytest.approx(0.9)
    assert rates[50] == pytest.approx(0.95)
    assert rates[-1] == pytest.approx(1.0)
    assert rates == sorted(rates)


def test_the_share_of_its_beginning_still_in_a_teacher() -> None:
    assert initial_share(1, 0.9) == pytest.approx(0.9)
    assert initial_share(2, 0.5) == pytest.approx(0.5 * 0.75)  # half of a cosine at its middle
    assert initial_share(3, 0.0) == 0.0
    teacher, student = nn.Linear(2, 2), nn.Linear(2, 2)
    nn.init.ones_(teacher.weight)
    nn.init.zeros_(student.weight)
    for step in range(50):
        update_teacher(teacher, student, ema_rate(step, 50, 0.96))
    torch.testing.assert_close(teacher.weight, torch.full((2, 2), initial_share(50, 0.96)))


def test_batch_norm_is_pytorchs_in_one_process() -> None:
    ours, theirs = BatchNorm(4), nn.BatchNorm1d(4)
    for seed in range(3):
        x = normal(16, 4, seed=seed).float() * 3 + 1
        assert torch.equal(ours(x), theirs(x))
    assert torch.equal(ours.eval()(x), theirs.eval()(x))


def test_heads() -> None:
    torch.manual_seed(0)
    assert MLP(in_dim=6, hidden_dim=8, out_dim=3, normalise=True)(normal(5, 6).float()).shape == (
        5,
        3,
    )
    head = DinoHead(in_dim=6, hidden_dim=8, bottleneck_dim=4, num_prototypes=9)
    logits = head(normal(5, 6).float())
    assert logits.shape == (5, 9)
    assert logits.abs().max() <= 1 + 1e-6  # cosines
    with torch.no_grad():
        head.prototypes *= 7  # only directions count
    torch.testing.assert_close(head(normal(5, 6).float()), logits)
