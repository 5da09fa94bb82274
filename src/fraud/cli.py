"""The command `fraud`: data to stdout, progress to stderr, and an exit code that tells what happened.

0 done · 1 bad input · 2 wrong usage · 3 a check failed.
"""

from __future__ import annotations

import os
import sys

import typer

from fraud import __version__
from fraud.commands import (
    backtest,
    backup,
    campaigns,
    cases,
    claims,
    database,
    demo,
    doctor,
    keys,
    ledger,
    models,
    monitor,
    notices,
    papers,
    queue,
    refresh,
    registry,
    report,
    retention,
    retrain,
    rooms,
    service,
    signals,
    tune,
    users,
)
from fraud.commands.console import show_error
from fraud.errors import FraudError

__all__ = ["app", "main"]

app = typer.Typer(
    name="fraud",
    help="Find fraud, waste and abuse in health-insurance claims.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    rich_markup_mode=None,
)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"fraud {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Print the version."),
) -> None:
    """Find fraud, waste and abuse in health-insurance claims."""


app.command("init")(rooms.init)
app.command("import")(claims.import_)
app.command("simulate")(claims.simulate)
app.add_typer(signals.app, name="signals")
app.command("build")(models.build)
app.command("train")(models.train)
app.command("tune")(tune.tune)
app.command("backtest")(backtest.backtest)
app.command("score")(models.score)
app.command("monitor")(monitor.monitor)
app.command("retrain")(retrain.retrain)
app.command("report")(report.report)
app.command("queue")(queue.queue)
app.command("models")(registry.models)
app.command("promote")(registry.promote)
app.command("rollback")(registry.rollback)
app.command("shadow")(registry.shadow)
app.command("card")(registry.card)
app.command("load")(service.load)
app.command("refresh")(refresh.refresh)
database.app.command("backup")(backup.backup)
app.add_typer(database.app, name="db")
app.command("serve")(service.serve)
app.command("doctor")(doctor.doctor)
app.command("retention")(retention.retention)
app.add_typer(keys.app, name="keys")
app.add_typer(users.app, name="users")
app.add_typer(cases.app, name="cases")
app.add_typer(campaigns.app, name="campaigns")
app.command("notices")(notices.notices)
app.add_typer(ledger.app, name="ledger")
app.add_typer(papers.app, name="papers")
app.command("demo")(demo.demo)


def main() -> None:
    """Run the command line; every error that is not a bug ends in one clear message."""
    try:
        app()
    except FraudError as error:
        show_error(error)
        sys.exit(error.exit_code)
    except BrokenPipeError:
        # The reader of our output has gone (`fraud … | head`): that is no error.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except Exception as error:
        if os.environ.get("FRAUD_DEBUG"):
            raise
        name = type(error).__name__
        sys.stderr.write(f"Something unexpected went wrong ({name}: {str(error)[:300]}).\n")
        sys.stderr.write("This is a fault of the program. Run it again with FRAUD_DEBUG=1 for the details.\n")
        sys.exit(1)


if __name__ == "__main__":
    main()
