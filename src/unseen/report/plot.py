"""A figure with its words, and its way into the page as inline SVG."""

from __future__ import annotations

import html
import io
import re
from dataclasses import dataclass

from matplotlib.figure import Figure

from unseen.report.style import hep_style

__all__ = ["Plot", "inline_svg"]

RASTER_DPI = 170
_NO_METADATA = {"Date": None, "Creator": None, "Format": None, "Type": None}


@dataclass(frozen=True, eq=False)
class Plot:
    """One figure: a name unique on the page, what it shows with numbers (alt), and how to read it (caption).

    `wide` figures keep a readable width and scroll sideways on a phone.
    """

    name: str
    figure: Figure
    alt: str
    caption: str
    wide: bool = False


def inline_svg(plot: Plot) -> str:
    """The figure as an `<svg>` element: ids prefixed with the name, no metadata, no outside reference."""
    with hep_style(plot.name), io.StringIO() as buffer:
        plot.figure.savefig(buffer, format="svg", dpi=RASTER_DPI, metadata=_NO_METADATA)
        text = buffer.getvalue()
    body = text[text.index("<svg") :]
    body = re.sub(r"<metadata>.*?</metadata>", "", body, flags=re.DOTALL)
    body = re.sub(r"<style[^>]*>.*?</style>", "", body, flags=re.DOTALL)  # would reach the whole page
    body = re.sub(r"<!--.*?-->\s*", "", body, flags=re.DOTALL)
    prefix = f"{plot.name}-"
    body = body.replace("xlink:href=", "href=")
    body = re.sub(r'\bid="', f'id="{prefix}', body)
    body = body.replace('href="#', f'href="#{prefix}').replace("url(#", f"url(#{prefix}")
    body = re.sub(r"(?<=\d\.\d{3})\d+", "", body)  # a thousandth of a point is enough
    return _with_head(body, plot)


def _with_head(svg: str, plot: Plot) -> str:
    end = svg.index(">")
    box = re.search(r'viewBox="([^"]+)"', svg[:end])
    if box is None:  # pragma: no cover - matplotlib always writes one
        raise ValueError(f"the SVG of figure '{plot.name}' has no viewBox")
    head = f'<svg class="plot" role="img" aria-label="{html.escape(plot.alt)}" viewBox="{box.group(1)}"'
    return (head + svg[end:]).strip()
