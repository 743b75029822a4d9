"""The evaluation of an embedding in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from unseen.report.wording import count, percent

__all__ = ["probe_lines"]

WORDS = {
    "alignment": "alignment",
    "uniformity": "uniformity",
    "alignment_directions": "alignment of directions",
    "uniformity_directions": "uniformity of directions",
    "effective_rank": "effective rank",
    "fisher_ratio": "Fisher ratio",
    "silhouette": "silhouette",
}


def probe_lines(content: Mapping[str, Any]) -> list[str]:
    """The JSON of an `Evaluation` as lines: a table of the probes, then the measures."""
    names = list(content["events"])
    lines = [_sample(content)]
    rows = [("", "accuracy", "balanced", *(f"AUC {name}" for name in names))]
    for part, prefix in (("probes", ""), ("raw", "inputs, ")):
        rows += [(prefix + name, *_scores(found, names)) for name, found in content[part].items()]
    if len(rows) > 1:
        widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
        lines += [
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
        ]
    known = {WORDS.get(name, name): value for name, value in content["measures"].items() if value is not None}
    lines += [f"{name}: {value:.3g}" for name, value in known.items()]
    return lines


def _sample(content: Mapping[str, Any]) -> str:
    events = ", ".join(f"{name} {count(n)}" for name, n in content["events"].items())
    mixture = content["mixture"]
    if mixture is None:
        return f"{content['dimensions']} dimensions; {events}, with the sample's own composition"
    return f"{content['dimensions']} dimensions; {events}, weighted to " + ", ".join(
        f"{name} {percent(share)}" for name, share in mixture.items() if share
    )


def _scores(found: Mapping[str, Any], names: list[str]) -> list[str]:
    values = [f"{found[name]:.3f} ± {found[f'{name}_error']:.3f}" for name in ("accuracy", "balanced_accuracy")]
    return values + [f"{found['auc'][name]:.3f}" if name in found["auc"] else "" for name in names]
