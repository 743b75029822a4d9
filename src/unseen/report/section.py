"""A section of the page."""

from __future__ import annotations

from dataclasses import dataclass

from unseen.report.plot import Plot
from unseen.report.tables import Table

__all__ = ["Section"]


@dataclass(frozen=True)
class Section:
    """A heading with a few plain words, figures, then tables; `folded` text is shown on demand.

    `link`: address and words of a page that says more.
    """

    id: str
    heading: str
    text: str
    plots: tuple[Plot, ...] = ()
    tables: tuple[Table, ...] = ()
    folded: str = ""
    link: tuple[str, str] | None = None
