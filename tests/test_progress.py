from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from unseen.progress import Display


def display(terminal: bool, quiet: bool = False) -> tuple[Display, io.StringIO]:
    shown, written = Display(quiet), io.StringIO()
    shown.console = Console(file=written, quiet=quiet, force_terminal=terminal, width=80, highlight=False)
    return shown, written


def test_messages_go_to_standard_error_in_one_line_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    text = f"[bold]{Path('deep') / ('x' * 200)}[/bold] done"
    Display().say(text)
    streams = capsys.readouterr()
    assert (streams.out, streams.err) == ("", f"{text}\n")


def test_quiet_shows_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    quiet = Display(quiet=True)
    quiet.say("hello")
    with quiet.bar("working") as update:
        update(1, 2, "note")
    assert capsys.readouterr() == ("", "")
    shown, written = display(terminal=True, quiet=True)
    with shown.bar("working") as update:
        update(1, 2, "note")
    assert written.getvalue() == ""


def test_a_terminal_sees_title_counts_and_note() -> None:
    shown, written = display(terminal=True)
    with shown.bar("toys") as update:
        update(3, 7, "412 events/s")
    text = written.getvalue()
    for part in ("toys", "3/7", "412 events/s"):
        assert part in text


def test_a_note_does_not_outlive_its_update() -> None:
    shown, written = display(terminal=True)
    with shown.bar("toys") as update:
        update(1, 7, "first note")
        written.seek(0)
        written.truncate()
        update(7, 7)
    assert "first note" not in written.getvalue().rpartition("7/7")[2]


def test_a_log_file_gets_no_bars() -> None:
    shown, written = display(terminal=False)
    with shown.bar("toys") as update:
        update(3, 7, "412 events/s")
    assert written.getvalue().strip() == ""


def test_a_bar_ends_with_the_error_inside_it() -> None:
    shown, _ = display(terminal=True)
    with pytest.raises(RuntimeError, match="stop"), shown.bar("toys"):
        raise RuntimeError("stop")
    with shown.bar("again") as update:  # rich refuses a second live display while one is open
        update(1, 1, "")
