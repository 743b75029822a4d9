"""The app of all commands, and how errors become exit codes."""

from __future__ import annotations

import sys

import typer

from unseen.cli import arrays, config, finetune, stages, studies
from unseen.errors import UnseenError

__all__ = ["app", "main"]

INTERRUPTED = 130
# In the order in which --help lists them.
COMMANDS = {**stages.COMMANDS, **finetune.COMMANDS, **arrays.COMMANDS, **studies.COMMANDS, **config.COMMANDS}

app = typer.Typer(
    name="unseen",
    help="Look for what nobody predicted: from simulation to a calibrated p-value.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for _name, _command in COMMANDS.items():
    app.command(_name, help=_command.help)(_command.work)


def main() -> None:
    """Run the command line and turn errors into exit codes."""
    try:
        if app(standalone_mode=False) == INTERRUPTED:  # newer versions of typer return the code for Ctrl-C
            raise KeyboardInterrupt
    except UnseenError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        sys.exit(2)
    except (PermissionError, FileExistsError, IsADirectoryError, NotADirectoryError) as error:
        print(f"{type(error).__name__}: {error.strerror}: {error.filename}", file=sys.stderr)
        sys.exit(2)
    except (KeyboardInterrupt, typer.Abort):
        print("interrupted; what is done is kept: run the same command to continue", file=sys.stderr)
        sys.exit(INTERRUPTED)
    except Exception as error:
        # Usage errors carry their own exit code and message; typer's vendored or plain click raises them.
        show = getattr(error, "show", None)
        if show is None:
            raise
        show()
        sys.exit(getattr(error, "exit_code", 2))
