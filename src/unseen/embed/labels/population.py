"""How many events every class has: the table before a training and `classes.json` beside the model."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from unseen.embed.labels.base import Labelling

__all__ = ["population", "population_table"]

# Classes printed before the table is cut in the middle.
MOST_ROWS = 30


def population(labelling: Labelling, weight: NDArray[np.float64] | None = None) -> dict[str, Any]:
    """Plain numbers for JSON: events of every class (and the sum of `weight` (n,)), classes per level, the total."""
    counts = np.bincount(labelling.target, minlength=len(labelling.names))
    classes: list[dict[str, Any]] = [
        {"name": name, "events": int(count)} for name, count in zip(labelling.names, counts, strict=True)
    ]
    if weight is not None:
        sums = np.bincount(labelling.target, weight, minlength=len(labelling.names))
        classes = [{**item, "weight": float(total)} for item, total in zip(classes, sums, strict=True)]
    sizes = [len(np.unique(column)) for column in labelling.levels.T]
    words = labelling.level_names or ("class",) * len(sizes)
    return {
        "events": len(labelling.target),
        "classes": classes,
        "levels": [{"adds": name, "classes": size} for name, size in zip(words, sizes, strict=True)],
    }


def population_table(labelling: Labelling, most: int = MOST_ROWS) -> str:
    """Lines of text: every class with its events and share, the largest first; a long list loses its middle."""
    content = population(labelling)
    classes = sorted(content["classes"], key=lambda item: -int(item["events"]))
    total, width = max(1, content["events"]), max([len(item["name"]) for item in classes], default=0)
    lines = [f"  {item['name']:<{width}}  {item['events']:>9,}  {item['events'] / total:7.2%}" for item in classes]
    if len(lines) > most:
        lines[most // 2 : len(lines) - most // 2] = [f"  ... {len(lines) - 2 * (most // 2)} more classes"]
    levels = " > ".join(f"{level['adds']} {level['classes']}" for level in content["levels"])
    head = f"{len(classes)} classes of {content['events']:,} training events"
    return "\n".join([head + (f" (levels: {levels})" if len(content["levels"]) > 1 else ""), *lines])
