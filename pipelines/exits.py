"""Exit codes, and the one place where an error becomes a line for a person."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable
from enum import IntEnum

import typer


class Exit(IntEnum):
    """What a script can rely on."""

    PUBLISHED = 0
    FAILED = 1
    USAGE = 2
    BLOCKED = 3  # by data quality; the last good snapshot stays
    CONFIGURATION = 4
    UNREACHABLE = 5


class UsageError(Exception):
    """The words of a command do not fit together (exit 2)."""


# by name, so that no heavy module is imported only to name its errors
_CODES = {
    "ConfigError": Exit.CONFIGURATION,
    "SetupError": Exit.CONFIGURATION,
    "LandingBlockedError": Exit.BLOCKED,
    "NotClosedError": Exit.BLOCKED,
    "NeverMadeError": Exit.BLOCKED,
    "SourceUnreachableError": Exit.UNREACHABLE,
    "NothingThereError": Exit.UNREACHABLE,
    "UsageError": Exit.USAGE,
}


def code_named(name: str) -> Exit | None:
    """The exit code that belongs to an error class by its name, if any."""
    return _CODES.get(name)


def code_for(error: BaseException) -> Exit:
    """The exit code of an error: that of the nearest class in its ancestry that has one."""
    return next((_CODES[c.__name__] for c in type(error).__mro__ if c.__name__ in _CODES), Exit.FAILED)


def one_line_of(text: str) -> str:
    """Words on one line, without control characters: what a terminal shows must not be steered by data."""
    return " ".join("".join(ch if ch.isprintable() else " " for ch in text).split()).rstrip(".")


def run_guarded(command: Callable[[], object], *, debug: bool = False) -> int:
    """Run a command; returns its exit code. Errors go to stderr on one line; a traceback only with `debug`."""
    try:
        result = command()
    except typer.Exit as stop:
        return stop.exit_code
    except typer.Abort:
        return 130
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        return int(Exit.FAILED)
    except Exception as error:  # noqa: BLE001 (the boundary: whatever happened, the user gets one line)
        if debug:
            traceback.print_exc()
        sys.stderr.write(f"error: {one_line_of(str(error) or type(error).__name__)}\n")
        return int(code_for(error))
    return int(result) if isinstance(result, int) else 0
