"""What the person at the keyboard is told: one clear last line, and exit code 2.

run_script(main)                         the last line of every script
stopping_at(step), before_training()     turn a ValueError of a loss or a world into that line

torch is imported where it is used: scripts that only read results do without.
"""

import argparse
import difflib
import os
import shlex
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


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
    return shlex.join(["python", *script, *sys.argv[1:]])


def run_script(main: Callable[[], None]) -> None:
    """Runs a script's main(); what the user can put right ends in one message and exit code 2.

    Subnormal floats are flushed to zero before anything else: worker threads take that setting
    from the moment they are made, and without it a saturated decoder trains at half speed.
    """
    import torch

    torch.set_flush_denormal(True)
    try:
        main()
        sys.stdout.flush()
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(2) from None
    except KeyboardInterrupt:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # once is enough
        again = command_line().replace(" --overwrite", "")
        print(f"\nstopped; to resume: {again}", file=sys.stderr)
        raise SystemExit(130) from None
    except BrokenPipeError:  # who read the output had enough, as head has
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(141) from None


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


def nearest(word: str, words: Iterable[str]) -> str:
    """ "; did you mean ...?" for the most alike of the words, "" where none is alike."""
    words, last = list(words), word.rpartition(".")[2]
    short = {known.rpartition(".")[2]: known for known in words}
    found = difflib.get_close_matches(word, words, n=1) or [
        short[name] for name in difflib.get_close_matches(last, short, n=1)
    ]
    return f"; did you mean {found[0]}?" if found else ""


def one_line(error: object) -> str:
    """A message on one line of bounded length."""
    text = " ".join(str(error).split())
    return text if len(text) <= 300 else f"{text[:200]} ... {text[-90:]}"
