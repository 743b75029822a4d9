"""Runs that are killed in a stage, by a clock of their own: a watcher may be too late on a busy machine."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import torch

# An alarm that nobody handles ends a process at once, as SIGKILL does, in its own time.
PROGRAM = """
import signal, sys
from unseen import cli, stages
write, stage = stages.write_json, sys.argv[1]
def write_and_arm(path, content):
    write(path, content)
    if path.name == stages.STARTED and path.parent.name == stage:
        signal.setitimer(signal.ITIMER_REAL, 0.002)
stages.write_json = write_and_arm
sys.argv = ["unseen", "run", sys.argv[2], "--quiet"]
cli.main()
"""


def run_killed(config: Path, out: Path, stage: str) -> None:
    """`unseen run` of `config`, killed two milliseconds after the stage of that name began."""
    environment = {**os.environ, "OMP_NUM_THREADS": str(torch.get_num_threads())}  # as here: the last bits depend on it
    done = subprocess.run([sys.executable, "-c", PROGRAM, stage, config], env=environment, stdout=subprocess.DEVNULL)
    assert done.returncode == -signal.SIGALRM, done.returncode
    assert (out / stage / "inputs.json").exists()
    assert not (out / stage / "stage.json").exists()
