"""`python -m unseen.cli`."""

from __future__ import annotations

from unseen.cli import main

main()
