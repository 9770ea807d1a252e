"""The ``sosgate`` command: the table of commands, and what an error looks like to a person.

Exit codes: each command's own (DESIGN section 7), and for all of them 2 for unusable input or a refusal of the
machine, 70 for a bug of ours (``EX_SOFTWARE`` of sysexits.h), 130 for Ctrl-C, 141 where the reader of our output
went away. A traceback is shown only where ``SOSGATE_TRACEBACK`` is set.
"""

import gc
import io
import os
import sys
import traceback
from collections.abc import Sequence
from functools import wraps
from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup
from typer.exceptions import TyperException
from typer.main import get_command

from firewall import __version__
from firewall.errors import SosgateError, word_of_machine

EXIT_UNUSABLE = 2
EXIT_BUG = 70
EXIT_INTERRUPTED = 130
EXIT_BROKEN_PIPE = 141

# What ``sosgate --help`` says of each; the module ``firewall.cli.<name>`` has the command, and is imported to run it.
COMMANDS = {
    "run": "Run the firewall in the current network namespace.",
    "lint": "Look for emergency calls that a policy could block, before it is loaded.",
    "diff": "Tell what changes in meaning from one policy to another.",
    "lsp": "Show lint's findings in an editor while a policy is written.",
    "replay": "Run the firewall's engine on recorded traffic.",
    "match": "Print the numbers of the frames that an expression matches.",
    "explain": "Explain a code, or tell one call's story from the decision log.",
    "testbed": "Make, remove or show three network namespaces for hand work.",
    "demo": "Show a 911 call blocked, explained and mended, with real calls.",
    "ctl": "Ask a running firewall.",
}


def _without_values(params: list[Any]) -> list[Any]:
    """Have the help say of no flag that it takes a value, as typer would (``--fix <bool>``)."""
    for param in params:
        if getattr(param, "is_flag", False):
            param.metavar = ""
    return params


class _Command(TyperCommand):
    def get_params(self, ctx: Any) -> list[Any]:
        return _without_values(super().get_params(ctx))


class _Commands(TyperGroup):
    """Imports only the command that is run, so that each starts as fast as it can."""

    def get_params(self, ctx: Any) -> list[Any]:
        return _without_values(super().get_params(ctx))

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        name, listed, rest = super().resolve_command(ctx, args)
        return name, _load(name) if name in COMMANDS else listed, rest


def _new_app(**settings: Any) -> typer.Typer:
    # Markdown, because in rich's own markup "[fw]" would be a style.
    return typer.Typer(add_completion=False, rich_markup_mode="markdown", pretty_exceptions_enable=False, **settings)


def _load(name: str) -> Any:
    command = getattr(import_module(f"firewall.cli.{name}"), name)

    @wraps(command)
    def run(**arguments: Any) -> Any:
        gc.freeze()  # what was imported until here stays
        gc.enable()
        return command(**arguments)

    single = _new_app()
    single.command(name, cls=_Command)(run)
    return get_command(single)


def _listed() -> None:
    """Stand in the list of commands."""


app = _new_app(name="sosgate", cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
for _name, _help in COMMANDS.items():
    app.command(_name, help=_help)(_listed)


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
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:  # its descriptor is closed (``>&-``), and what is said there goes nowhere
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_WRONLY), "w"))
        elif isinstance(stream, io.TextIOWrapper):
            # What calls and files carry is printed as far as the terminal can; nothing of it is an error.
            stream.reconfigure(errors="backslashreplace")
    sys.exit(run_command(sys.argv[1:]))


def run_command(arguments: Sequence[str]) -> int:
    """Run one command and return its exit code; every error becomes one sentence on stderr."""
    gc.disable()  # until the command runs (_load): a collection of what was only imported finds nothing
    try:
        code = app(args=list(arguments) or ["--help"], prog_name="sosgate", standalone_mode=False)
        sys.stdout.flush()
    except TyperException as error:
        return _complain(_usage_sentence(error, arguments), error)
    except SosgateError as error:
        return _complain(str(error), error)
    except (KeyboardInterrupt, typer.Abort):
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        _give_up_stdout()
        return EXIT_BROKEN_PIPE
    except SystemExit as leaving:
        if not isinstance(leaving.__context__, BrokenPipeError):
            raise
        return EXIT_BROKEN_PIPE  # typer and rich found it first, and made an exit code of their own of it
    except Exception as error:  # noqa: BLE001 (the last line of defence: no traceback is ever shown unasked)
        word = word_of_machine(error)
        if word is not None:
            filename = getattr(error, "filename", None)
            subject = f" {os.fsdecode(filename)}" if isinstance(filename, str | bytes) else ""
            return _complain(f"error: the machine refused{subject}: {word}", error)
        sentence = (
            f"error: a bug in sosgate: {type(error).__name__}: {' '.join(str(error).split())}; "
            "run it again with SOSGATE_TRACEBACK=1 and report what it shows"
        )
        return _complain(sentence, error, EXIT_BUG)
    finally:
        gc.enable()
    return code if isinstance(code, int) else 0


def _complain(sentence: str, error: BaseException, code: int = EXIT_UNUSABLE) -> int:
    if os.environ.get("SOSGATE_TRACEBACK"):
        traceback.print_exception(error)
    try:
        sys.stdout.flush()
    except OSError:
        _give_up_stdout()
    sys.stderr.write(sentence + "\n")
    return code


def _usage_sentence(error: TyperException, arguments: Sequence[str]) -> str:
    page = " ".join(["sosgate", *(name for name in arguments[:1] if name in COMMANDS)])
    cause = " ".join(error.format_message().split()).replace("Value error, ", "").rstrip(".")
    return f"error: {cause}; see {page} --help"


def _give_up_stdout() -> None:
    """Let the interpreter's last flush go nowhere: it failed once, and would fail again with a traceback."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
