"""What stops a run that cannot go on, with a clear last line."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from torch import Tensor

from common.harness.config import UserError


@contextmanager
def stopping_at(step: int) -> Iterator[None]:
    """Turns what losses, masks and planners refuse, often numbers not finite, into a UserError."""
    try:
        yield
    except ValueError as error:
        advice = "; a smaller learning_rate may help" if "finite" in str(error) else ""
        raise UserError(f"step {step}: {error}{advice}") from None


@contextmanager
def before_training() -> Iterator[None]:
    """Turns what a world or a task cannot have into a UserError, before any time is spent."""
    try:
        yield
    except ValueError as error:
        raise UserError(str(error)) from None


def check_weights(weights: Iterable[Tensor]) -> None:
    """Raises ValueError for weights that are not finite, before they are measured or saved."""
    if not all(weight.isfinite().all() for weight in weights):
        raise ValueError("got weights that are not finite; wanted finite numbers")
