"""What a search for settings may propose: every choice and both ends of every range, tried before any work."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from unseen.errors import ConfigError, UnseenError
from unseen.study.settings import ParameterConfig

__all__ = ["check_ranges", "values_of"]

Point = dict[str, Any]
# Where in a range a number is tried that is whole nowhere.
INSIDE = (3.0 - 5.0**0.5) / 2.0
MOST_POINTS = 64


def values_of(parameter: ParameterConfig) -> tuple[Any, ...]:
    """The values to try: all choices, or both ends, and of a range of real numbers one that is not whole."""
    if parameter.choices is not None:
        return parameter.choices
    assert parameter.low is not None
    assert parameter.high is not None  # the settings have both ends or choices
    if parameter.integer:
        return int(parameter.low), int(parameter.high)
    return parameter.low, parameter.high, parameter.low + INSIDE * (parameter.high - parameter.low)


def check_ranges(parameters: Mapping[str, ParameterConfig], accept: Callable[[Point], None]) -> None:
    """ConfigError with key and value if no settings with this value are accepted; `accept` raises UnseenError.

    Settings may exclude each other (an objective that needs views, and no views): a value is fine if it is beside one
    of the others.
    """
    values = {key: values_of(parameter) for key, parameter in parameters.items()}
    for key, tried in values.items():
        for value in tried:
            reason = _refused(_points(values, key, value), accept)
            if reason is None:
                continue
            if isinstance(value, float) and _refused(_points(values, key, round(value)), accept) is None:
                raise ConfigError(f"optuna.parameters: '{key}' is a whole number: add integer: true ({reason})")
            raise ConfigError(f"optuna.parameters: '{key}' cannot be {value!r}: {reason}")


def _refused(points: Iterator[Point], accept: Callable[[Point], None]) -> str | None:
    """Why the first of the points was refused, None if one of them was not."""
    reason = None
    for point in points:
        try:
            accept(point)
        except UnseenError as error:
            reason = reason or str(error)
        else:
            return None
    return reason


def _points(values: Mapping[str, tuple[Any, ...]], key: str, value: Any) -> Iterator[Point]:
    """Settings with this value: beside the first values of the others, one other changed, then any combination."""
    first = {name: tried[0] for name, tried in values.items()} | {key: value}
    others = {name: tried for name, tried in values.items() if name != key}
    yield first
    for name, tried in others.items():
        yield from ({**first, name: other} for other in tried[1:])
    for chosen in itertools.islice(itertools.product(*others.values()), MOST_POINTS):
        yield dict(zip(others, chosen, strict=True)) | {key: value}
