"""`aftersale ui` before it starts anything."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from pipelines.commands.ui import LOOPBACK, run_ui
from pipelines.exits import UsageError


def test_a_port_that_is_taken_is_said_before_anything_starts(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind((LOOPBACK, 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(UsageError, match=rf"port {port} .*Address already in use.*--port"):
            run_ui(tmp_path / "home", None, port=port, read_only=False)
    assert not (tmp_path / "home").exists()
