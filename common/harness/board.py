"""What a run measures, for TensorBoard: ``logger: tensorboard``."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from common.harness.errors import UserError


class Board:
    """Writes the numbers of a run's lines under <run>/tensorboard, beside metrics.jsonl.

    Opened again, it appends, and takes back what a killed run wrote after its last checkpoint.
    Raises UserError where TensorBoard is not installed.
    """

    def __init__(self, folder: Path) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            need = 'logger tensorboard needs an extra: pip install -e ".[logging]"'
            raise UserError(f"{need}, or use logger jsonl") from None
        self._open, self._folder, self._writer = SummaryWriter, folder / "tensorboard", None

    def add(self, step: int, line: Mapping[str, Any]) -> None:
        """The numbers of a line; the text in it, such as a method, stands before their names."""
        if self._writer is None:
            self._writer = self._open(str(self._folder), purge_step=step)
        words = [value for value in line.values() if isinstance(value, str)]
        for name, value in line.items():
            if name != "step" and isinstance(value, int | float):
                self._writer.add_scalar("/".join([*words, name]), value, step)

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()
