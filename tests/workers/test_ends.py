"""A process with workers that is killed, or stopped from the keyboard, takes its workers with it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from unseen.workers.inside import WATCH_SECONDS

ROOT = Path(__file__).parents[2]
PROGRAM = """
import sys
from tests.workers import tasks
from unseen.workers import workers
if __name__ == "__main__":
    cluster = None if sys.argv[1] == "processes" else sys.argv[1]
    with workers(cluster, 2) as pool:
        pool.run(tasks.touch_and_sleep, range(6), lambda job, result: None, shared=sys.argv[2])
"""


def started(folder: Path) -> set[int]:
    return {int(path.name.split("-")[1]) for path in folder.iterdir()}


def lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.parametrize("kind", ["processes", "local"])
@pytest.mark.parametrize("sent", [signal.SIGKILL, signal.SIGINT])
def test_nothing_is_left(kind: str, sent: signal.Signals, tmp_path: Path) -> None:
    program, work, scratch = tmp_path / "program.py", tmp_path / "work", tmp_path / "scratch"
    program.write_text(PROGRAM)
    work.mkdir()
    scratch.mkdir()
    environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}", "TMPDIR": str(scratch)}
    process = subprocess.Popen(
        [sys.executable, program, kind, work],
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    deadline = time.monotonic() + 60
    while len(list(work.iterdir())) < 4 and time.monotonic() < deadline:
        time.sleep(0.02)
    assert len(started(work)) == 2
    if sent == signal.SIGKILL:
        process.kill()
    else:
        os.killpg(process.pid, sent)  # as a terminal does: the workers get it, too
    _, said = process.communicate(timeout=60)
    assert process.returncode != 0
    deadline = time.monotonic() + 30 * WATCH_SECONDS
    while any(lives(number) for number in started(work)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(lives(number) for number in started(work))
    if sent == signal.SIGINT:
        assert said.count("Traceback") == 1
        assert said.rstrip().endswith("KeyboardInterrupt")
        assert not list(scratch.iterdir())
