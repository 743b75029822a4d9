"""Versions of what results depend on; a client and its workers must have the same.

`versions` is sent to workers by value, since they may have no such module: it uses the standard library only.
"""

from __future__ import annotations

from collections.abc import Mapping

from unseen.errors import WorkerVersionError

__all__ = ["compare", "versions"]

SHOWN = 3


def versions() -> dict[str, str]:
    """Versions of python, numpy, torch and unseen in this process; unseen's with a hash of its files."""
    import hashlib
    import platform
    from importlib import metadata, util
    from pathlib import Path

    found = {"python": ".".join(platform.python_version().split(".")[:2])}
    for package in ("numpy", "torch", "unseen"):
        try:
            found[package] = metadata.version(package).split("+")[0]  # builds for other devices will do
        except metadata.PackageNotFoundError:
            found[package] = "absent"
    place = util.find_spec("unseen")
    if place is not None and place.origin is not None:
        folder, content = Path(place.origin).parent, hashlib.sha256()
        for path in sorted([*folder.rglob("*.py"), *folder.rglob("*.yaml")]):
            content.update(str(path.relative_to(folder)).encode() + path.read_bytes())
        found["unseen"] += f" (files {content.hexdigest()[:8]})"
    return found


def compare(here: Mapping[str, str], workers: Mapping[str, Mapping[str, str]]) -> None:
    """WorkerVersionError if a worker (by its name) has other versions than `here`."""
    differing = {}
    for name, there in workers.items():
        other = [
            f"{package} {there.get(package, 'absent')} instead of {version}"
            for package, version in here.items()
            if there.get(package) != version
        ]
        if other:
            differing[name] = ", ".join(other)
    if differing:
        shown = "; ".join(f"{name} has {text}" for name, text in list(differing.items())[:SHOWN])
        more = f"; and {len(differing) - SHOWN} more workers" if len(differing) > SHOWN else ""
        raise WorkerVersionError(f"{shown}{more}: start the workers from the same environment as this command")
