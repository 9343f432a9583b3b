"""The entry point of the command line; errors become one line."""

import importlib.util
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from typing import NoReturn

from orbitconv._support.optional import install_hint

_CLOSED_PIPE = 141
"""Exit code of a program in a pipe whose reader ends first: 128 and the number of the signal."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""

    def work() -> None:
        from orbitconv.cli.commands import parse

        sys.path.append("")  # modules of the current folder, for module:function and --trust; all others come first
        parse(sys.argv[1:] if arguments is None else arguments).run()

    run_safely("orbitconv", work)


def run_safely(program: str, work: Callable[[], None]) -> None:
    """Run a command; errors become one line and an exit code.

    Exits with 2 after a wrong argument or bad input (one message, no traceback; set ORBITCONV_DEBUG=1 to see where it
    came from), and with 130 after Ctrl-C.
    """
    missing = [name for name in ("tyro", "rich") if importlib.util.find_spec(name) is None]
    if missing:
        _stop(program, f"the command line needs {' and '.join(missing)}: {install_hint('train')}")
    try:
        work()
        sys.stdout.flush()
    except BrokenPipeError as error:
        _stop_at_closed_pipe(program, error)
    except KeyboardInterrupt:
        print(f"\n{program}: stopped; nothing half-written was left behind", file=sys.stderr)  # noqa: T201
        sys.exit(130)
    except (ValueError, TypeError, OSError, ArithmeticError, ImportError, MemoryError) as error:
        if os.environ.get("ORBITCONV_DEBUG"):
            traceback.print_exception(error)
        _stop(program, str(error) or type(error).__name__)
    except RecursionError:
        _stop(program, "a file is nested too deeply to be read. Restore it, or leave it out.")
    except RuntimeError as error:  # torch has no other kind for a CPU whose memory does not suffice
        from orbitconv._support.explained import is_lack_of_memory

        if not is_lack_of_memory(error):
            raise
        _stop(
            program, f"the memory does not suffice: {str(error).strip().splitlines()[0]} Take fewer or smaller images."
        )


def _stop_at_closed_pipe(program: str, error: BrokenPipeError) -> NoReturn:
    """Exit quietly if the reader of standard output, such as head, has seen enough."""
    try:
        os.write(sys.stdout.fileno(), b"\n")
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for the flush when Python ends
        sys.exit(_CLOSED_PIPE)
    _stop(program, str(error))


def _stop(program: str, message: str) -> NoReturn:
    """Exit with 2 and a message."""
    print(f"{program}: {message}", file=sys.stderr)  # noqa: T201
    sys.exit(2)
