"""One self-contained HTML page on the systematic uncertainties of a run."""

from __future__ import annotations

from pathlib import Path

from unseen.report.nuisances import said
from unseen.report.page import environment, tone, write_page
from unseen.report.style import hep_style
from unseen.report.systematics.inputs import SystematicsInputs
from unseen.report.systematics.sections import likeness, systematics_sections
from unseen.report.verdict import Reading, reading
from unseen.report.wording import count, number, typeset

__all__ = ["PAGE", "render_systematics", "write_systematics"]

PAGE = "systematics.html"
TEMPLATE = "systematics.html.j2"


def write_systematics(inputs: SystematicsInputs, path: Path) -> Path:
    """Write the page as one HTML file without outside references, atomically; equal inputs give equal bytes."""
    return write_page(render_systematics(inputs), path)


def render_systematics(inputs: SystematicsInputs) -> str:
    """The page as text."""
    read = reading(inputs.result)
    with hep_style():
        return (
            environment()
            .get_template(TEMPLATE)
            .render(
                title=inputs.title,
                verdict=typeset(_verdict(inputs, read)),
                tone=tone(read),
                context=" ".join(likeness(row) for row in inputs.overlaps),
                numbers=_numbers(inputs, read),
                sections=systematics_sections(inputs),
            )
        )


def _verdict(inputs: SystematicsInputs, read: Reading) -> str:
    other = inputs.result.get("ignored")
    without = f"; with them ignored: {said(reading(other))}" if other else ""
    return f"With the systematic uncertainties profiled: {said(read)}{without}."


def _numbers(inputs: SystematicsInputs, read: Reading) -> list[tuple[str, str, str]]:
    """(name, value, detail) of the headline numbers."""
    found = [("p, profiled", _value(read.p_words), typeset(read.z_words))]
    other = inputs.result.get("ignored")
    if other:
        ignored = reading(other)
        found.append(("p, ignored", _value(ignored.p_words), typeset(ignored.z_words)))
    found.append(("parameters", count(len(inputs.names)), ", ".join(inputs.names)))
    closure = (((inputs.result.get("checks") or {}).get("nuisances") or {}).get("ratio") or {}).get("closure") or {}
    if closure.get("shift"):
        outcome = "passed" if closure.get("passed") else "not resolved" if closure.get("unresolved") else "failed"
        found.append(
            ("closure", outcome, f"largest shift {max(closure['shift']):.2f}, limit {number(closure['limit'])}")
        )
    return found


def _value(words: str) -> str:
    return words.split(" ", 1)[1].removeprefix("= ")
