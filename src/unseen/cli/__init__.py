"""The commands.

Exit code 0: success; 2: a user's error, told in one line; 1: a defect, with its traceback; 130: interrupted.
"""

from __future__ import annotations

import os

# Threads that wait for each other in a loop take a busy machine's cores from one another: on a loaded two-core machine
# the search was several times slower than with threads that sleep. Read once, when torch is loaded.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

from unseen.cli.main import app, main

__all__ = ["app", "main"]
