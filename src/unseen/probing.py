"""What `unseen probe` does, without the command line: judge a trained model by labelled files of events."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from threadpoolctl import threadpool_limits

from unseen.arrays import FloatArray
from unseen.config import ADC2021_MIXTURE
from unseen.embed import Model, evaluate
from unseen.embed.probes.mixture import check_mixture
from unseen.errors import ConfigError, NotEnoughEventsError, UnknownProcessError, did_you_mean
from unseen.events import Events, read
from unseen.events.atomic import write_json, write_whole
from unseen.progress import Display
from unseen.report.figures.latent_corner import Cloud
from unseen.report.figures.latent_processes import latent_corner, process_clouds, signal_clouds
from unseen.report.figures.latent_umap import check_umap, map_figure, umap_points
from unseen.report.style import hep_style
from unseen.seeds import generator, small_seed

__all__ = ["ProbeOptions", "mixture_of", "probe_files"]

MIXTURES = {"adc2021": ADC2021_MIXTURE}
DPI = 200
# What would make equal figures differ in their bytes, by format.
NO_DATE: dict[str, dict[str, None]] = {
    ".png": {"Software": None},
    ".pdf": {"CreationDate": None},
    ".svg": {"Date": None},
}
DRAWN = 20_000  # events of a process in the corner plot
MAPPED = 2_000  # in the UMAP map, whose time grows fast


@dataclass(frozen=True)
class ProbeOptions:
    """What to judge, and how; `signals` are only drawn."""

    model: Path
    files: tuple[str, ...]
    out: Path
    signals: Mapping[str, Path] = field(default_factory=dict)
    mixture: Mapping[str, float] | None = None
    processes: tuple[str, ...] = ()
    raw: bool = True
    figure: Path | None = None
    umap: Path | None = None
    max_events: int | None = None
    seed: int = 0
    workers: int | None = None


def probe_files(options: ProbeOptions, display: Display) -> dict[str, Any]:
    """Evaluate the model, write `out` (JSON) and the figures asked for; return what the JSON holds.

    Errors: as `unseen.embed.evaluate`; ConfigError (a figure of unknown format), MissingExtraError (UMAP).
    """
    for path in (options.figure, options.umap):
        if path is not None and path.suffix not in NO_DATE:
            raise ConfigError(f"{path}: figures are written as {', '.join(NO_DATE)}, by the ending of the name")
    if options.umap is not None:
        check_umap()
    model = Model.load(options.model)
    events = _labelled(options, model)
    signals = {name: _signal(name, path, model) for name, path in options.signals.items()}
    display.say(f"{len(events)} events of {len(np.unique(events.label))} processes")
    limit = threadpool_limits(limits=options.workers) if options.workers else contextlib.nullcontext()
    with limit:
        found = evaluate(
            model,
            events,
            mixture=options.mixture,
            raw=options.raw,
            seed=options.seed,
            max_events=options.max_events,
        )
    content = found.to_json() | {"model": str(options.model), "files": list(options.files)}
    write_json(options.out, content)
    if options.figure is not None:
        _draw_corner(options, model, events, signals)
    if options.umap is not None:
        display.say("mapping the latent space with UMAP")
        _draw_map(options, model, events, signals)
    return content


def mixture_of(text: str | None) -> dict[str, float] | None:
    """The shares of "w=0.6,qcd=0.4", or those of a name such as "adc2021". Errors: ConfigError."""
    if not text:
        return None
    if "=" not in text:
        if text not in MIXTURES:
            raise ConfigError(f"--mixture: no mixture '{text}'{did_you_mean(text, MIXTURES)}; or write w=0.6,qcd=0.4")
        return dict(MIXTURES[text])
    shares: dict[str, float] = {}
    for part in text.split(","):
        name, _, share = part.partition("=")
        try:
            value = float(share)
        except ValueError as error:
            raise ConfigError(f"--mixture: '{part}' is not NAME=SHARE, e.g. w=0.6,qcd=0.4") from error
        if name in shares:
            raise ConfigError(f"--mixture: '{name}' is named twice")
        shares[name] = value
    check_mixture(shares, list(shares))
    return shares


def _labelled(options: ProbeOptions, model: Model) -> Events:
    """The events to judge by: of the processes asked for, else of the mixture, else all but the signals."""
    events = Events.concatenate([_read(text, model) for text in options.files])
    names = events.label_names
    wanted = options.processes or tuple(name for name, share in (options.mixture or {}).items() if share > 0)
    for name in wanted:
        if name not in names:
            raise UnknownProcessError(f"no events of process '{name}'{did_you_mean(name, names)}")
    return events.of(*(wanted or (name for name in names if name not in options.signals)))


def _read(text: str, model: Model) -> Events:
    """The events of FILE, or those of NAME=FILE under that name."""
    name, _, path = text.rpartition("=")
    events = read(path, schema=model.schema, select=True)
    if not name:
        return events
    if len(events.label_names) != 1:
        raise ConfigError(f"{text}: {path} has several processes ({', '.join(events.label_names)}): give no name")
    return replace(events, label_names=(name,))


def _signal(name: str, path: Path, model: Model) -> FloatArray:
    """The embedding of a signal: of a file with several processes, the one of that name."""
    events = read(path, schema=model.schema, select=True)
    if len(events.label_names) > 1:
        if name not in events.label_names:
            raise UnknownProcessError(f"{path} has no process '{name}'{did_you_mean(name, events.label_names)}")
        events = events.of(name)
    if not len(events):
        raise NotEnoughEventsError(f"signal '{name}': {path} has no events after the selection")
    return model.embed(events[:DRAWN])


def _draw_corner(options: ProbeOptions, model: Model, events: Events, signals: Mapping[str, FloatArray]) -> None:
    some = _some(events, DRAWN, options.seed)
    with hep_style("probe"):
        figure = latent_corner(model.embed(some), some.label, some.label_names, some.weight, signals)
        _save(figure, options.figure)


def _draw_map(options: ProbeOptions, model: Model, events: Events, signals: Mapping[str, FloatArray]) -> None:
    some = _some(events, MAPPED, options.seed)
    z = model.embed(some)
    clouds = process_clouds(z, some.label, some.label_names) + signal_clouds(
        {name: points[:MAPPED] for name, points in signals.items()}, z.shape[1]
    )
    points = umap_points(np.concatenate([cloud.points for cloud in clouds]), small_seed(options.seed, "umap"))
    ends = np.cumsum([len(cloud.points) for cloud in clouds])
    parts = np.split(points, ends[:-1])
    mapped: list[Cloud] = [replace(cloud, points=part) for cloud, part in zip(clouds, parts, strict=True)]
    with hep_style("probe"):
        _save(map_figure(mapped), options.umap)


def _some(events: Events, most: int, seed: int) -> Events:
    """At most so many random events of each process."""
    order = generator(seed, "probe", "drawn").permutation(len(events))
    rows = [order[events.label[order] == code][:most] for code in np.unique(events.label)]
    return events[np.sort(np.concatenate(rows))]


def _save(figure: Figure, path: Path | None) -> None:
    assert path is not None
    with write_whole(path) as temporary:
        figure.savefig(temporary, dpi=DPI, format=path.suffix[1:], metadata=NO_DATE[path.suffix])
