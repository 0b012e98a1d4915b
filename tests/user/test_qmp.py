"""The machine protocol, against a socket that answers from a script."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pocwatch.sanitizer.errors import MachineError
from pocwatch.user import qmp

Serve = Callable[[dict[str, list[Any]]], tuple[Path, list[dict[str, Any]]]]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """Answer each command with the next of its answers, else with an empty one; keep what was asked."""
    threads = []

    def start(answers: dict[str, list[Any]]) -> tuple[Path, list[dict[str, Any]]]:
        path, asked = tmp_path / "qmp", list[dict[str, Any]]()
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(path))
        listener.listen()

        def talk() -> None:
            connection, _ = listener.accept()
            with listener, connection, connection.makefile("rw") as stream:
                stream.write('{"QMP": {}}\n')
                stream.flush()
                for line in stream:
                    command = json.loads(line)
                    asked.append(command)
                    given = answers.get(command["execute"], [])
                    stream.write('{"event": "STOP"}\n')
                    stream.write(json.dumps(given.pop(0) if given else {"return": {}}) + "\n")
                    stream.flush()

        thread = threading.Thread(target=talk)
        thread.start()
        threads.append(thread)
        return path, asked

    yield start
    for thread in threads:
        thread.join(10)


def test_saving_waits_for_the_end_and_leaves_ram_out(serve: Serve) -> None:
    states = [{"return": {"status": "active"}}, {"return": {"status": "completed"}}]
    path, asked = serve({"query-migrate": states})
    qmp.save(path, Path("/x/state"))
    assert [command["execute"] for command in asked] == [
        *("qmp_capabilities", "migrate-set-capabilities", "migrate"),
        *("query-migrate", "query-migrate", "quit"),
    ]
    (capability,) = asked[1]["arguments"]["capabilities"]
    assert capability == {"capability": "x-ignore-shared", "state": True}
    assert asked[2]["arguments"] == {"uri": "file:/x/state"}


@pytest.mark.parametrize(
    ("answers", "message"),
    [
        ({"migrate": [{"error": {"desc": "disk full"}}]}, "migrate failed: disk full"),
        (
            {"query-migrate": [{"return": {"status": "failed", "error-desc": "no space"}}]},
            "could not be saved: no space",
        ),
    ],
)
def test_a_failure_is_told(serve: Serve, answers: dict[str, list[Any]], message: str) -> None:
    path, _ = serve(answers)
    with pytest.raises(MachineError, match=message):
        qmp.save(path, Path("/x/state"))


def test_a_machine_that_is_started_gets_its_state(serve: Serve, tmp_path: Path) -> None:
    path = tmp_path / "qmp"
    qmp.start_incoming(path, Path("/x/state"))  # before anybody listens
    _, asked = serve({})
    for thread in threading.enumerate():
        if thread.name == "incoming":
            thread.join(10)
    assert asked[-1] == {"execute": "migrate-incoming", "arguments": {"uri": "file:/x/state"}}
