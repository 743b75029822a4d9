"""One self-contained HTML page from the sections."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from unseen.events.atomic import write_whole
from unseen.report.inputs import ReportInputs
from unseen.report.nuisances import ignored
from unseen.report.plot import Plot, inline_svg
from unseen.report.sections import sections
from unseen.report.style import hep_style
from unseen.report.verdict import Reading, beside, context, reading, verdict
from unseen.report.wording import count, p_text, typeset, z_text

__all__ = ["environment", "render", "tone", "write_page", "write_report"]

TEMPLATE = "report.html.j2"


def write_report(inputs: ReportInputs, path: Path) -> Path:
    """Write the report as one HTML file without outside references, atomically; equal inputs give equal bytes."""
    return write_page(render(inputs), path)


def write_page(page: str, path: Path) -> Path:
    """Write a page atomically."""
    with write_whole(Path(path)) as temporary:
        temporary.write_text(page, encoding="utf-8")
    return Path(path)


def render(inputs: ReportInputs) -> str:
    """The page as text."""
    read = reading(inputs.result)
    with hep_style():
        return (
            environment()
            .get_template(TEMPLATE)
            .render(
                title=inputs.title,
                verdict=typeset(verdict(inputs.result, inputs.reference_word)),
                tone=tone(read),
                context=context(inputs.result),
                beside=typeset(" ".join(filter(None, (beside(inputs.result), ignored(inputs.result))))),
                numbers=_numbers(inputs, read),
                sections=sections(inputs),
            )
        )


def environment() -> Environment:
    """The templates of the package, with figures as inline SVG."""
    templates = Environment(
        loader=PackageLoader("unseen.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.filters["svg"] = _svg
    return templates


def _svg(plot: Plot) -> Markup:
    return Markup(inline_svg(plot))


def tone(read: Reading) -> str:
    """Colour of the verdict; the words carry the meaning."""
    if read.problems:
        return "problem"
    return "agree" if read.z < 2 else "mild" if read.z < 3 else "disagree"


def _numbers(inputs: ReportInputs, read: Reading) -> list[tuple[str, str, str]]:
    """(name, value, uncertainty) of the headline numbers."""
    result = inputs.result
    p_interval, z_interval = result.get("p_interval") or (None, None), result.get("z_interval") or (None, None)
    resolution = result.get("p_resolution")
    warning = "not to be quoted" if read.problems else ""
    found = [("p-value", _value(read.p_words), warning or _interval(p_interval, p_text))]
    found.append(("significance Z", _value(typeset(read.z_words)), warning or _interval(z_interval, z_text)))
    if resolution is not None:
        toys = result.get("n_toys")
        found.append(("resolution of p", p_text(float(resolution)), f"{count(toys)} toys" if toys else ""))
    if result.get("n_data") is not None and result.get("expected") is not None:
        n, expected = float(result["n_data"]), float(result["expected"])
        found.append(("events", count(n), f"{count(expected)} ± {count(round(math.sqrt(max(expected, 0))))} expected"))
    return found


def _value(words: str) -> str:
    """``0.43`` of ``p = 0.43``; a bound keeps its sign."""
    return words.split(" ", 1)[1].removeprefix("= ")


def _interval(ends: tuple[float | None, float | None], text: Callable[[float], str]) -> str:
    low, high = ends
    if high is None:
        return f"68 %: above {text(low)}" if low is not None else ""
    if low is None or (low == 0.0 and text is p_text):
        return f"68 %: below {text(high)}"
    return f"68 %: {text(low)} to {text(high)}"
