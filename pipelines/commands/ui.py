"""`aftersale ui`: Dagster's web server and daemon over the home, on the loopback interface only."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

from pipelines.exits import Exit, UsageError
from pipelines.places import find_config, prepare_dagster_home
from pipelines.terminal import console

LOOPBACK = "127.0.0.1"
WORKSPACE = Path(__file__).resolve().parents[2] / "workspace.yaml"
"""The one that `dagster dev -w` takes: a schedule switched on there is switched on here, for the location has one name."""
SUPERSEDED = "ignore:Function `dev_command` is superseded"
"""Dagster speaks of a tool that is not installed here; nothing a user of this command could do."""


def run_ui(home: Path, config: Path | None, *, port: int, read_only: bool) -> Exit:
    """Serve until interrupted. Read-only: the web server alone, nothing can be started or changed in it.

    Raises:
        UsageError: something else listens on the port; Dagster would say so half a minute later, and below "Serving on".
    """
    _claim(port)
    folder = prepare_dagster_home(home)
    environment = {**os.environ, "AFTERSALE_HOME": str(home), "DAGSTER_HOME": str(folder)}
    if found := find_config(config, home):
        environment["AFTERSALE_CONFIG"] = str(found)
    server = ["webserver", "--read-only"] if read_only else ["dev"]
    module = {"webserver": "dagster_webserver", "dev": "dagster"}[server[0]]
    words = server[1:] if read_only else server
    command = [
        sys.executable, "-W", SUPERSEDED, "-m", module, *words, "-w", str(WORKSPACE), "-h", LOOPBACK, "-p", str(port)
    ]  # fmt: skip
    console().print(
        f"http://{LOOPBACK}:{port} over {home}{' (read only)' if read_only else ''}. Stop with Ctrl-C."
    )
    # a process started in the background by a script inherits ignored signals: neither it nor its child would stop
    _listen_to_signals()
    process = subprocess.Popen(command, env=environment, preexec_fn=_listen_to_signals)  # noqa: S603, PLW1509
    try:
        return Exit.PUBLISHED if process.wait() in (0, -signal.SIGINT, -signal.SIGTERM) else Exit.FAILED
    except KeyboardInterrupt:
        process.send_signal(signal.SIGINT)
        process.wait()
        return Exit.PUBLISHED
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait()


def _claim(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(
            socket.SOL_SOCKET, socket.SO_REUSEADDR, 1
        )  # as the server does: a closed one may linger
        try:
            probe.bind((LOOPBACK, port))
        except OSError as error:
            raise UsageError(
                f"port {port} of {LOOPBACK}: {error.strerror}. Is the page open already? If not, choose another: --port N"
            ) from error


def _listen_to_signals() -> None:
    """Ctrl-C and a polite kill both end in KeyboardInterrupt."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
