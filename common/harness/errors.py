"""What the person at the keyboard is told: one clear last line, and exit code 2.

run_script(main)                         the last line of every script
stopping_at(step), before_training()     turn a ValueError of a loss or a world into that line

torch is imported where it is used: scripts that only read results do without.
"""

import argparse
import difflib
import io
import os
import re
import shlex
import signal
import sys
import threading
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

REPOSITORY = Path(__file__).resolve().parents[2]
SYNONYMS = {  # what an option is called elsewhere
    "learning_rate": "lr", "steps": "epochs iterations", "batch_size": "bs batch",
    "weight_decay": "wd", "num_hypotheses": "k", "num_prototypes": "k", "embedding_dim": "dim d",
}  # fmt: skip


BUSY = "another process is running in"  # what a run says, and a sweep waits for


class UserError(Exception):
    """Something the person at the keyboard can put right; shown without a traceback."""


class ConfigError(UserError, ValueError):
    """A config that cannot be used: what was got and what is wanted, on one line."""

    def __init__(self, message: str) -> None:
        super().__init__(one_line(message))


def command_line() -> str:
    """The command that started this process."""
    module = sys.modules["__main__"].__spec__
    script = [sys.argv[0]] if module is None else ["-m", module.name]
    start = ["python"]
    if "TORCHELASTIC_RUN_ID" in os.environ:
        start = ["torchrun", "--nproc_per_node", os.environ["LOCAL_WORLD_SIZE"]]
    return shlex.join([*start, *script, *sys.argv[1:]])


def run_script(main: Callable[[], None]) -> None:
    """Runs a script's main(); what the user can put right ends in one message and exit code 2.

    Subnormal floats are flushed to zero before anything else: worker threads take that setting
    from the moment they are made, and without it a saturated decoder trains at half speed.
    """
    import torch

    torch.set_flush_denormal(True)
    _ready_streams()
    try:
        _check_beside_script()
        main()
        sys.stdout.flush()
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(2) from None
    except (MemoryError, RuntimeError) as error:
        if not isinstance(error, MemoryError) and not re.search(r"(?i)\ballocate\b", str(error)):
            raise
        lower = "not enough memory; lower batch_size, world.size or the numbers of data"
        print(f"error: {lower}: {one_line(error)}", file=sys.stderr)
        raise SystemExit(2) from None
    except KeyboardInterrupt:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # once is enough
        again = command_line().replace(" --overwrite", "")
        print(f"\nstopped; to resume: {again}", file=sys.stderr)
        raise SystemExit(130) from None
    except BrokenPipeError:  # who read the output had enough, as head has
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(141) from None
    finally:
        torch.set_flush_denormal(False)


class _Screen(io.FileIO):
    """Where output is shown; what it cannot take is lost, and what the script does goes on."""

    def write(self, data: Any) -> int | None:
        try:
            return super().write(data)
        except BrokenPipeError:
            raise
        except OSError as error:  # a full disk, a terminal that was closed
            os.dup2(os.open(os.devnull, os.O_WRONLY), self.fileno())
            if self.fileno() == 1:
                print(f"warning: output is lost from here on: {error.strerror}", file=sys.stderr)
            return len(data)


def _ready_streams() -> None:
    """Lets no character that the terminal lacks, and no stream that is closed, stop a script."""
    for name in ("stderr", "stdout"):
        stream = getattr(sys, name)
        if stream is None:  # closed by whoever started this, as with 2>&-
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115, PTH123
        elif stream is getattr(sys, f"__{name}__"):
            screen = io.BufferedWriter(_Screen(stream.fileno(), "wb", closefd=False))
            at_once = stream.line_buffering or stream.write_through
            shown = io.TextIOWrapper(screen, stream.encoding, "replace", line_buffering=at_once)
            setattr(sys, name, shown)


def _check_beside_script() -> None:
    """Refuses to run another clone's code, or an installed copy of it, which has no configs."""
    script = Path(getattr(sys.modules["__main__"], "__file__", None) or REPOSITORY).resolve()
    clones = [folder for folder in script.parents if (folder / "common" / "harness").is_dir()]
    if clones[:1] not in ([], [REPOSITORY]) or not (REPOSITORY / "configs").is_dir():
        found = f"{script} would run with the package common of {REPOSITORY}"
        raise UserError(f"{found}, expected that of its own clone: run pip install -e . there")


@contextmanager
def on_interrupt(stop: Callable[[], None]) -> Iterator[None]:
    """Calls stop() at the first Ctrl-C, or SIGTERM, in place of an end; a second Ctrl-C is one."""
    handlers, asked = {}, False

    def handle(number: int, _: object) -> None:
        nonlocal asked
        if asked and number == signal.SIGINT:  # SIGTERM may follow: a sweep sends it to its runs
            raise KeyboardInterrupt
        asked = True
        stop()

    try:
        if threading.current_thread() is threading.main_thread():  # no other may set handlers
            for number in (signal.SIGINT, signal.SIGTERM):
                if signal.getsignal(number) != signal.SIG_IGN:  # as in the background
                    handlers[number] = signal.signal(number, handle)
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


@contextmanager
def stopping_at(step: int) -> Iterator[None]:
    """Turns a ValueError of a loss, a mask or a planner into a UserError that names the step."""
    try:
        yield
    except ValueError as error:
        advice = "; a smaller learning_rate may help" if "finite" in str(error) else ""
        raise UserError(f"step {step}: {error}{advice}") from None


@contextmanager
def before_training() -> Iterator[None]:
    """Turns a ValueError of a world or a task into a UserError, before any time is spent."""
    try:
        yield
    except ValueError as error:
        raise UserError(str(error)) from None


def check_weights(weights: "Iterable[Tensor]") -> None:
    """Raises ValueError for weights that are not finite, before they are measured or saved."""
    if not all(weight.isfinite().all() for weight in weights):
        raise ValueError("got weights that are not finite; wanted finite numbers")


def no_options(description: str | None) -> None:
    """Reads the command line of a script that knows --help alone; anything else is refused."""
    argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    ).parse_args()


def typed_path(text: str) -> Path:
    """A path of the command line, ~ and all; refuses a name that no file can hold in UTF-8."""
    if not text.isprintable():
        raise argparse.ArgumentTypeError(f"expected printable characters, got {text!r}")
    return Path(os.path.expanduser(text))  # noqa: PTH111 - which lets an unknown ~name be


def nearest(word: str, words: Collection[str]) -> str:
    """ "; did you mean ...?" for what is meant or most alike among words, "" where nothing is.

    Of an option or a config file, the groups, the folder, dashes and .yaml may be left out.
    """

    def short(name: str) -> str:
        return re.split(r"[./]", name.removesuffix(".yaml"))[-1].lstrip("-")

    inner_first = sorted(words, key=lambda known: known.count("."), reverse=True)
    last = {short(known): known for known in inner_first}  # of equal names that of no group
    meant = [last[key] for key in last if short(word).lower() in SYNONYMS.get(key, "").split()]
    for tried, known in (word.lstrip("-"), {k.lstrip("-"): k for k in words}), (short(word), last):
        meant += [known[name] for name in difflib.get_close_matches(tried, known, n=1)]
    return f"; did you mean {meant[0]}?" if meant else ""


def one_line(error: object) -> str:
    """A message on one line of bounded length."""
    text = " ".join(str(error).split())
    return text if len(text) <= 300 else f"{text[:200]} ... {text[-90:]}"
