"""The command line: `spanhouse COMMAND ...`. Each command imports what it needs when it runs, so that help is there at once."""

from __future__ import annotations

import argparse
import importlib
import os
import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final, Protocol

OK: Final = 0
FAILED: Final = 1
USAGE: Final = 2
INTERRUPTED: Final = 130


class UserError(Exception):
    """What a user can mend; `str(error)` is one line that says what is wrong and what to do."""


class _Command(Protocol):
    """A module of `collector/commands`."""

    def execute(self, arguments: argparse.Namespace) -> int:
        """Do it, and return the exit status."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return the exit status: 0 done, 1 failed, 2 wrong usage, 130 interrupted."""
    _open_what_is_closed()
    try:
        try:
            return _execute(arguments)
        finally:
            # Here, where it can be told in a line that the disk is full.
            sys.stdout.flush()
    except KeyboardInterrupt:
        return INTERRUPTED
    except OSError as error:
        # Nothing may be flushed at exit: it would fail again. A reader of our output such as `head` has seen enough.
        sys.stdout = None
        if not isinstance(error, BrokenPipeError):
            _complain("spanhouse", error)
        return FAILED


def _execute(arguments: Sequence[str] | None) -> int:
    parsed, unknown = parser().parse_known_args(arguments)
    if unknown:
        parsed.used.error(f"unrecognized arguments: {' '.join(unknown)}")
    command: _Command = importlib.import_module(f"collector.commands.{parsed.command.replace('-', '_')}")
    if signal.getsignal(signal.SIGINT) is signal.SIG_DFL:
        # As `collector/__main__.py` left it.
        signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        return command.execute(parsed)
    except UserError as error:
        _complain(f"spanhouse {parsed.command}", error)
        return FAILED


def _complain(who: str, error: Exception) -> None:
    print(f"{who}: {error}", file=sys.stderr)  # noqa: T201 - the answer to a command


def _open_what_is_closed() -> None:
    """Let what is written to a closed standard output or error go nowhere, rather than into the next file that is opened."""
    for descriptor, name in ((1, "stdout"), (2, "stderr")):
        if getattr(sys, name) is None:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            if nowhere != descriptor:
                os.dup2(nowhere, descriptor)
                os.close(nowhere)
            os.set_inheritable(descriptor, True)
            setattr(sys, name, os.fdopen(descriptor, "w", closefd=False))


def spanhouse_version() -> str:
    """The version of this installation."""
    # Slow to load, and needed for this alone.
    from importlib import metadata

    return metadata.version("spanhouse")


_VARIABLES: Final = "OTEL_EXPORTER_OTLP_HEADERS and _CERTIFICATE count as in services"


def parser() -> argparse.ArgumentParser:
    """The grammar of all commands."""
    top = argparse.ArgumentParser(
        prog="spanhouse", description="An OpenTelemetry-compatible span collector: OTLP in, ClickHouse out, traces back."
    )
    top.add_argument("--version", action=_Version, nargs=0, help="print the version and exit")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, summary, declare in _COMMANDS:
        command = commands.add_parser(name, help=summary, description=f"{summary[0].upper()}{summary[1:]}.")
        # Options that it does not have are told with its usage: argparse would show that of `spanhouse` alone.
        command.set_defaults(used=command)
        declare(command)
    return top


class _Version(argparse.Action):
    """As argparse's own, but looks for the version when it is asked for."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        sys.stdout.write(f"spanhouse {spanhouse_version()}\n")
        parser.exit()


def _configured(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "-c", "--config", type=Path, default=Path("collector.yaml"), metavar="FILE", help="configuration (default: %(default)s)"
    )


def _replay(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "files",
        nargs="+",
        type=Path,
        metavar="FILE",
        help="OTLP trace requests: .pb or .json, each also as .gz; a directory stands for all such files in it",
    )
    command.add_argument(
        "--endpoint", help=f"host:port, or a URL (default: localhost:4317, or localhost:4318 for http); {_VARIABLES}"
    )
    command.add_argument("--protocol", choices=("grpc", "http"), default="grpc", help="transport (default: %(default)s)")
    command.add_argument("--rate", type=_positive, metavar="SPANS_PER_S", help="send no faster than this (default: at once)")
    command.add_argument("--repeat", type=_count, default=1, help="send everything so many times (default: %(default)s)")
    command.add_argument("--concurrency", type=_count, default=4, help="requests in flight at once (default: %(default)s)")
    command.add_argument(
        "--move-to-now",
        action="store_true",
        help="shift all times of a file by one constant, so that its last span ends now",
    )


def _dead_letter(command: argparse.ArgumentParser) -> None:
    actions = command.add_subparsers(dest="action", required=True, metavar="ACTION")
    listed = actions.add_parser("list", help="what is set aside, the oldest first")
    shown = actions.add_parser("show", help="one entry, with its spans as OTLP/JSON")
    shown.add_argument("id", metavar="ID")
    shown.add_argument("--protobuf", action="store_true", help="write the spans alone, as the bytes of an OTLP request")
    retried = actions.add_parser("retry", help="send entries to a running collector, and forget those that it takes")
    retried.add_argument("--endpoint", help=f"as of replay; {_VARIABLES}")
    retried.add_argument("--protocol", choices=("grpc", "http"), default="grpc", help="transport (default: %(default)s)")
    dropped = actions.add_parser("drop", help="delete entries for good")
    for action in (retried, dropped):
        action.add_argument("ids", nargs="*", metavar="ID")
        action.add_argument("--all", action="store_true", help="every entry")
    for action in (listed, shown, retried, dropped):
        action.set_defaults(used=action)
        _configured(action)


def _schema(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "action",
        nargs="?",
        choices=("plan", "apply"),
        help="say what a server lacks (exit status 2 where it lacks anything), or add it; without, print all that there is",
    )
    _configured(command)


def _sampling(command: argparse.ArgumentParser) -> None:
    actions = command.add_subparsers(dest="action", required=True, metavar="ACTION")
    rehearsed = actions.add_parser("dry-run", help="say what would be kept of stored OTLP requests; nothing is sent or stored")
    rehearsed.set_defaults(used=rehearsed)
    rehearsed.add_argument("files", nargs="+", type=Path, metavar="TRACES", help="OTLP trace requests, as of replay")
    rehearsed.add_argument("--explain", metavar="TRACE_ID", help="tell what was decided about this trace, and who was for it")
    rehearsed.add_argument("--against", type=Path, metavar="FILE", help="another configuration, and what it would do otherwise")
    rehearsed.add_argument("--json", action="store_true", help="write JSON")
    _configured(rehearsed)


def _demo(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--endpoint", default="localhost:4317", help=f"host:port or URL of OTLP/gRPC (default: %(default)s); {_VARIABLES}"
    )
    command.add_argument(
        "--rate", type=_positive, default=2.0, metavar="REQUESTS_PER_S", help="visits to the shop (default: %(default)s)"
    )
    command.add_argument(
        "--duration", type=_positive, metavar="SECONDS", help="stop after this long (default: run until stopped)"
    )


def _nothing(_: argparse.ArgumentParser) -> None:
    """The command has no options."""


_COMMANDS: Final[tuple[tuple[str, str, Callable[[argparse.ArgumentParser], None]], ...]] = (
    ("run", "start the daemon", _configured),
    ("validate", "check a configuration, and say everything that is wrong with it", _configured),
    ("schema", "print the SQL that makes the tables, or bring those of a server up to date", _schema),
    ("replay", "send stored OTLP requests", _replay),
    ("dead-letter", "look at spans that could not be stored, send them again, or drop them", _dead_letter),
    ("sampling", "try out what samplers would keep", _sampling),
    ("demo", "send the spans of a small living shop", _demo),
    ("doctor", "check whether the daemon could run here, and say what to do if not", _configured),
    ("version", "print the versions of spanhouse and of what it is made of", _nothing),
)


def _positive(text: str) -> float:
    with suppress(ValueError):
        if 0 < (value := float(text)) < float("inf"):
            return value
    raise argparse.ArgumentTypeError(f"must be a number greater than 0, found {text!r}")


def _count(text: str) -> int:
    with suppress(ValueError):
        if (value := int(text)) >= 1:
            return value
    raise argparse.ArgumentTypeError(f"must be a whole number of at least 1, found {text!r}")
