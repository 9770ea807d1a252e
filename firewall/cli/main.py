"""The ``sosgate`` command: the table of commands, and what an error looks like to a person.

Exit codes: each command's own (DESIGN section 7), and for all of them 2 for unusable input or a refusal of the
machine, 70 for a bug of ours (``EX_SOFTWARE`` of sysexits.h), 130 for Ctrl-C, 141 where the reader of our output
went away. A traceback is shown only where ``SOSGATE_TRACEBACK`` is set.
"""

import os
import sys
import traceback
from collections.abc import Sequence
from typing import Annotated

import typer
from typer.exceptions import TyperException

from firewall import __version__
from firewall.cli.demo import demo
from firewall.errors import SosgateError

EXIT_UNUSABLE = 2
EXIT_BUG = 70
EXIT_INTERRUPTED = 130
EXIT_BROKEN_PIPE = 141

app = typer.Typer(
    name="sosgate",
    help="The SIP firewall that cannot silently block an emergency call.",
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(demo)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"sosgate {__version__}")
        raise typer.Exit


@app.callback()
def sosgate(
    _version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """The SIP firewall that cannot silently block an emergency call."""


def main() -> None:
    """Run the command line and leave with its exit code."""
    sys.exit(run_command(sys.argv[1:]))


def run_command(arguments: Sequence[str]) -> int:
    """Run one command and return its exit code; every error becomes one sentence on stderr."""
    try:
        code = app(args=list(arguments) or ["--help"], prog_name="sosgate", standalone_mode=False)
        sys.stdout.flush()
    except TyperException as error:
        return _complain(f"error: {_sentence(error)}; see sosgate --help", error)
    except SosgateError as error:
        return _complain(str(error), error)
    except (KeyboardInterrupt, typer.Abort):
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        return _reader_went_away()
    except OSError as error:
        subject = f" {error.filename}" if error.filename else ""
        return _complain(f"error: the machine refused{subject}: {error.strerror or error}", error)
    except Exception as error:  # noqa: BLE001 (the last line of defence: no traceback is ever shown unasked)
        sentence = (
            f"error: a bug in sosgate: {type(error).__name__}: {' '.join(str(error).split())}; "
            "run it again with SOSGATE_TRACEBACK=1 and report what it shows"
        )
        return _complain(sentence, error, EXIT_BUG)
    return code if isinstance(code, int) else 0


def _complain(sentence: str, error: BaseException, code: int = EXIT_UNUSABLE) -> int:
    if os.environ.get("SOSGATE_TRACEBACK"):
        traceback.print_exception(error)
    sys.stdout.flush()
    sys.stderr.write(sentence + "\n")
    return code


def _sentence(error: TyperException) -> str:
    return " ".join(error.format_message().split()).rstrip(".")


def _reader_went_away() -> int:
    # The interpreter flushes stdout once more when it ends; that must not fail again.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return EXIT_BROKEN_PIPE
