"""What is wrong with settings, in one line: the key's path, and the closest key that exists at that place."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from unseen.errors import did_you_mean

__all__ = ["mistakes"]

MOST_MISTAKES = 5  # in one message


def mistakes(error: ValidationError, model: type[BaseModel], content: Any = None) -> str:
    """Return the first mistakes in settings of this model, in one line.

    `content` is what was validated. It says which variant of a section was chosen by its name, so that only keys of
    that variant are suggested; without it those of all variants are.
    """
    found = error.errors()
    # Of a list with a mistake inside, pydantic also says that it is too short.
    inner = [a for a in found if not any(a["loc"] != b["loc"] and a["loc"] == b["loc"][: len(a["loc"])] for b in found)]
    return "; ".join(_explain(dict(item), model, content) for item in inner[:MOST_MISTAKES])


def _explain(item: Mapping[str, Any], model: type[BaseModel], content: Any) -> str:
    location = [str(part) for part in item["loc"]]
    key = ".".join(location)
    if item["type"] == "extra_forbidden":
        return f"unknown key '{key}'{did_you_mean(location[-1], _fields_at(model, location[:-1], content))}"
    message = " ".join(item["msg"].removeprefix("Value error, ").split())
    return f"{key + ': ' if key else ''}{message}"


def _fields_at(model: type[BaseModel], location: list[str], content: Any) -> set[str]:
    """Names of the fields of the section at a path of keys, and of its variants where it is chosen by a name."""
    named = False  # whether the next part is a name that the user chose
    for part in location:
        fields = dict(_fields(model, content))
        content = _inside(content, part)
        if named or part.isdigit():
            named = False
            continue
        annotation = fields[part].annotation if part in fields else None
        section = _section_in(annotation)
        if section is None:
            return set()
        model, named = section, get_origin(annotation) is dict
    return set() if named else {name for name, _ in _fields(model, content)}


def _inside(content: Any, part: str) -> Any:
    """What settings hold under a key, or at a place of a list; None where that cannot be followed."""
    if isinstance(content, Mapping):
        return content.get(part)
    if isinstance(content, list | tuple) and part.isdigit() and int(part) < len(content):
        return content[int(part)]
    return None


def _section_in(annotation: Any) -> type[BaseModel] | None:
    """The first section in an annotation, inside unions, tuples, mappings and Annotated."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for part in get_args(annotation) if (found := _section_in(part)) is not None), None)


def _fields(model: type[BaseModel], content: Any) -> list[tuple[str, FieldInfo]]:
    """The fields of a model, or of the variant that the content names; of all that derive from it if it names none."""
    name = content.get("name") if isinstance(content, Mapping) else None
    family = _family(model)
    chosen = [each for each in family if "name" in each.model_fields and each.model_fields["name"].default == name]
    return [
        (field.alias or field_name, field)
        for each in (chosen if name is not None and chosen else family)
        for field_name, field in each.model_fields.items()
    ]


def _family(model: type[BaseModel]) -> list[type[BaseModel]]:
    """A model and all that derive from it."""
    return [model, *(each for variant in model.__subclasses__() for each in _family(variant))]
