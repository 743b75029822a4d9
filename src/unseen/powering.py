"""What `unseen power` does: from files of events to the numbers of signal events that a search needs."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError

from unseen.arrays import FloatArray, read_arrays
from unseen.commands import unweighted
from unseen.config import SearchConfig, load_search
from unseen.embed import Model
from unseen.errors import ConfigError, NotEnoughEventsError, UnknownProcessError, did_you_mean
from unseen.events import Events, read
from unseen.events.atomic import write_json, write_whole
from unseen.mistakes import mistakes
from unseen.power import Contender, PowerResult, Scan, ToyStore, content_hash, power_result, run_scan
from unseen.power.ceiling import learned_ceiling
from unseen.power.rival import Samples, rival_contender
from unseen.power.setup import fitted_kernel, scan_of, smallest_pool
from unseen.progress import Display
from unseen.report.figures.power import power_figure
from unseen.report.style import hep_style
from unseen.rivals import RIVALS, choose
from unseen.search.calibrate import DEFAULT_TOYS
from unseen.search.validate import as_events, as_weights, check_disjoint, check_name, row_keys
from unseen.seeds import generator
from unseen.simulate.jobs import software
from unseen.workers import check_cluster, workers

__all__ = ["PowerOptions", "study_power"]

DEFAULT_NULL = 1000
SETTINGS_PER_CENTER = 5  # of the linear statistic, whose Hessian comes from the settings events that are no centres
POOL_PER_DATA = 3.0  # toys redraw the reference with the data, so the pool need not be much larger than the data
FEWEST_SETTINGS = 100
DPI = 200
KERNEL, CEILING = "kernel", "ceiling"


@dataclass(frozen=True)
class PowerOptions:
    """What to study. `signals` are files by name; `n_null` None means 1,000 toys, 20,000 of the linear statistic."""

    background: Path
    signals: Mapping[str, Path]
    out: Path
    n_reference: int
    n_data: float
    n_signal: tuple[int, ...]
    model: Path | None = None
    n_toys: int = 300
    n_null: int | None = None
    n_pool: int | None = None
    seed: int = 1
    calibration: str | None = None
    statistic: str | None = None
    normalisation: str | None = None
    config: Path | None = None
    processes: tuple[str, ...] = ()
    tests: tuple[str, ...] = ("kernel",)
    workers: int | None = None
    cluster: str | None = None


@dataclass(frozen=True)
class Parts:
    """Events (n, d) of disjoint parts of the background; `training` is for the test that knows the signal."""

    settings: FloatArray
    reference: FloatArray
    pool: FloatArray
    training: FloatArray


def study_power(options: PowerOptions, display: Display) -> dict[str, Any]:
    """Run the study, write `out` (JSON), the figure (.png) and the toys (.toys) beside it; return what the JSON holds.

    Toys that are done are kept: the same study run again continues, and more toys or injections add to them.
    """
    check_cluster(options.cluster, options.workers)
    check_tests(options.tests)
    settings = _search_settings(options)
    background, signals = _events(options, display)
    parts = _split(background, options, settings)
    display.say(
        f"N_R {len(parts.reference)}, N {options.n_data:g}, pool {len(parts.pool)}, settings {len(parts.settings)}, "
        f"{parts.reference.shape[1]} dimensions"
    )
    contenders, arrays = _contenders(options, settings, parts, signals)
    scan = _scan(options, settings, tuple(signals))
    about = _about(options, settings, contenders, content_hash(*(np.asarray(a) for a in arrays)))
    result = _study(options, scan, contenders, about, display)
    content = result.to_json()
    write_json(options.out, content)
    with hep_style("power"), write_whole(options.out.with_suffix(".png")) as temporary:
        power_figure(result).savefig(temporary, dpi=DPI, format="png")
    return content


def _contenders(
    options: PowerOptions, settings: SearchConfig, parts: Parts, signals: Mapping[str, FloatArray]
) -> tuple[dict[str, Contender], tuple[FloatArray, ...]]:
    """Return the tests of the study by the names of their toys, and all events that these depend on."""
    apart: dict[str, FloatArray] = {}
    if CEILING in options.tests:
        apart = {name: x[: len(x) // 2] for name, x in signals.items()}
        signals = {name: x[len(x) // 2 :] for name, x in signals.items()}
    samples = Samples(parts.settings, parts.reference, parts.pool, signals, options.n_data)
    found: dict[str, Contender] = {}
    for name in options.tests:
        if name == KERNEL:
            found[name] = fitted_kernel(settings, samples, options.seed)
        elif name == CEILING:
            # It has a column for each injection: toys of other injections are not its own.
            key = f"{name}-{content_hash(np.unique(options.n_signal))[:8]}"
            found[key] = learned_ceiling(samples, parts.training, apart, options.n_signal, options.seed)
        else:
            found[name] = rival_contender(choose(name), samples)
    used = (parts.settings, parts.reference, parts.pool, parts.training, *signals.values(), *apart.values())
    return found, used


def _study(
    options: PowerOptions, scan: Scan, contenders: Mapping[str, Contender], about: dict[str, Any], display: Display
) -> PowerResult:
    """Throw the toys that are missing, on this machine's threads or on a cluster."""
    store = ToyStore(options.out.with_suffix(".toys"), about["configuration"])
    with workers(options.cluster, options.workers, threads=True) as pool, display.bar("toys times widths") as update:
        toys = run_scan(
            scan,
            {name: contender.candidate for name, contender in contenders.items()},
            {name: contender.needs_null_toys for name, contender in contenders.items()},
            store,
            pool,
            lambda done, total: update(done, total, ""),
        )
    return power_result(scan, contenders, toys, about)


def _search_settings(options: PowerOptions) -> SearchConfig:
    """Return the search's configuration with what the options say otherwise."""
    settings = load_search(options.config)
    said = {name: getattr(options, name) for name in ("calibration", "statistic", "normalisation")}
    changes = {name: value for name, value in said.items() if value is not None}
    try:
        found = SearchConfig.model_validate(settings.model_dump() | changes)
    except ValidationError as error:
        raise ConfigError(f"power: {mistakes(error, SearchConfig)}") from error
    found.check_profiled(False)
    return found


def _events(options: PowerOptions, display: Display) -> tuple[FloatArray, dict[str, FloatArray]]:
    """Return the background (n, d) without weights, and the signals by name."""
    model = None if options.model is None else Model.load(options.model)
    rng = generator(options.seed, "power", "unweight")
    background, weights = _load(options.background, model, options.processes, set(options.signals))
    kept = unweighted(background, weights, rng)
    if len(kept) < len(background):
        display.say(f"background: {len(kept)} of {len(background)} weighted events are left after unweighting")
    signals, keys = {}, row_keys(kept)
    for name, path in options.signals.items():
        x, w = _load(path, model, (name,), set())
        signals[name] = unweighted(as_events(f"signal '{name}'", x, background.shape[1]), w, rng)
        check_disjoint(f"signal '{name}'", row_keys(signals[name]), "the background", keys)
        half = CEILING in options.tests
        left = len(signals[name]) - (len(signals[name]) // 2 if half else 0)
        if left < max(options.n_signal):
            why = f" beside the {len(signals[name]) - left} that train the ceiling" if half else ""
            raise NotEnoughEventsError(
                f"signal '{name}' has {left} events{why}, {max(options.n_signal)} are to be injected"
            )
    return kept, signals


def _load(
    path: Path, model: Model | None, processes: tuple[str, ...], without: set[str]
) -> tuple[FloatArray, FloatArray]:
    """Return events (n, d) of a file, embedded if it holds collisions, and their weights.

    Of a sample with several processes those in `processes` are used where they are in it, else all but `without`.
    """
    if path.suffix == ".npz":
        arrays = read_arrays(path, needs=("x",))
        x = as_events(f"x of {path}", arrays["x"])
        return x, as_weights(f"the weights of {path}", arrays.get("weights"), len(x))
    if model is None:
        raise ConfigError(f"{path} holds collisions: name an embedding with --model, or pass .npz files with x (n, d)")
    events = _of(read(path, schema=model.schema, select=True), processes, without, path)
    return model.embed(events).astype(np.float64), events.weight


def _of(events: Events, processes: tuple[str, ...], without: set[str], path: Path) -> Events:
    names = events.label_names
    chosen = [name for name in processes if name in names]
    if processes and not chosen and len(names) > 1:
        raise UnknownProcessError(
            f"{path} has no process '{processes[0]}'{did_you_mean(processes[0], names)}; it has {', '.join(names)}"
        )
    if not chosen:
        chosen = [name for name in names if name not in without]
    return events.of(*chosen) if len(chosen) < len(names) else events


def _split(background: FloatArray, options: PowerOptions, settings: SearchConfig) -> Parts:
    """Return settings, reference, pool and training: disjoint random parts of the background.

    Settings get fewer events than they want where there are not more; the test that knows the signal gets what is left,
    at least as many as the settings.
    """
    wanted = settings.n_centers * (SETTINGS_PER_CENTER if settings.statistic == "linear" else 1)
    n_pool = options.n_pool or max(int(POOL_PER_DATA * options.n_data), smallest_pool(options.n_data))
    left = len(background) - options.n_reference - n_pool
    n_settings = min(wanted, left // 2 if CEILING in options.tests else left)
    fewest = min(wanted, FEWEST_SETTINGS)
    if n_settings < fewest:
        raise NotEnoughEventsError(
            f"the background has {len(background)} events: {options.n_reference} as reference and {n_pool} for toys "
            f"(--pool) leave {max(left, 0)} for the tests' settings, which want {wanted} and need {fewest}"
        )
    total = n_settings + options.n_reference + n_pool
    rows = generator(options.seed, "power", "split").permutation(len(background))
    first, second = n_settings, n_settings + options.n_reference
    x = background[rows]
    return Parts(x[:first], x[first:second], x[second:total], x[total:])


def _scan(options: PowerOptions, settings: SearchConfig, signals: tuple[str, ...]) -> Scan:
    default = DEFAULT_TOYS["linear"] if settings.statistic == "linear" else max(DEFAULT_NULL, options.n_toys)
    return scan_of(
        settings, signals, options.n_signal, options.n_data, options.n_toys, options.n_null or default, options.seed
    )


def _about(
    options: PowerOptions, settings: SearchConfig, contenders: Mapping[str, Contender], content: str
) -> dict[str, Any]:
    """Return what the study was made of; `configuration` fixes the values of its toys."""
    ignored = {"n_toys", "n_toys_beside", "calibration", "combination", "memory_budget"}
    configuration = {
        "events": content,
        "seed": options.seed,
        "expected": options.n_data,
        "search": settings.model_dump(mode="json", exclude=ignored),
        "unseen": software()["unseen"],
    }
    said = asdict(options) | {"signals": {k: str(v) for k, v in options.signals.items()}}
    return {
        "configuration": configuration,
        "options": {k: str(v) if isinstance(v, Path) else v for k, v in said.items()},
        "calibration": {r.name: contender.calibration for contender in contenders.values() for r in contender.readings},
        "statistic": settings.statistic,
        "normalisation": settings.normalisation,
        "software": software() | {"python": platform.python_version()},
    }


def numbers(text: str) -> tuple[int, ...]:
    """Return the numbers of "0,50,100". Raises ConfigError."""
    try:
        found = tuple(int(part) for part in text.split(","))
    except ValueError as error:
        raise ConfigError(
            f"--n-signal is {text!r}; expected whole numbers with commas between, e.g. 0,50,100"
        ) from error
    if min(found) < 0 or len(set(found)) < len(found):
        raise ConfigError(f"--n-signal is {text!r}; the numbers must be different and not negative")
    return found


def signal_files(texts: list[str]) -> dict[str, Path]:
    """Return the files of FILE or NAME=FILE by name; a file without a name has that of its stem. Raises ConfigError."""
    files: dict[str, Path] = {}
    for text in texts:
        name, _, path = text.rpartition("=")
        name = name or Path(path).stem
        if name in files or "/" in name:
            raise ConfigError(f"--signal {text}: the name '{name}' is not usable or given twice; write NAME={path}")
        files[name] = Path(path)
    return files


def check_tests(names: tuple[str, ...]) -> None:
    """Raise UnknownNameError for a test that there is not, ConfigError if none is named or one twice."""
    for name in names:
        check_name("test", name, (KERNEL, *RIVALS, CEILING))
    if not names or len(set(names)) < len(names):
        raise ConfigError(f"tests are {names}; name at least one, each once")
