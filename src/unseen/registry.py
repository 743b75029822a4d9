"""From a name, or a mapping with a name, to the typed configuration in a registry."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from unseen.errors import ConfigError, UnknownNameError, did_you_mean
from unseen.mistakes import mistakes

__all__ = ["NamedConfig", "lookup", "parse_settings", "resolve"]

T = TypeVar("T")


class NamedConfig(BaseModel):
    """A frozen configuration that knows its name in a registry; only the fields that it declares exist."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    name: str


C = TypeVar("C", bound=NamedConfig)
S = TypeVar("S", bound=BaseModel)


def parse_settings(kind: type[S], content: Mapping[str, Any], origin: str) -> S:
    """Build settings from a mapping; ConfigError (or UnknownNameError) names the key, the value and the closest key."""
    try:
        return kind.model_validate(dict(content))
    except ValidationError as error:
        raise ConfigError(f"{origin}: {mistakes(error, kind, content)}") from error


def lookup(name: str, registry: Mapping[str, T], kind: str) -> T:
    """The entry of this name; UnknownNameError with the closest known name if there is none."""
    if name not in registry:
        raise UnknownNameError(f"no {kind} '{name}'{did_you_mean(name, registry)}")
    return registry[name]


def resolve(value: Any, registry: Mapping[str, type[C]], kind: str) -> Any:
    """A configuration from its name (all defaults) or from a mapping with the key `name`; anything else unchanged."""
    if isinstance(value, str):
        return lookup(value, registry, kind)(name=value)
    if isinstance(value, Mapping):
        if "name" not in value:
            raise ValueError(f"{kind}: the key 'name' is missing; known: {', '.join(sorted(registry))}")
        return lookup(str(value["name"]), registry, kind).model_validate(dict(value))
    return value
