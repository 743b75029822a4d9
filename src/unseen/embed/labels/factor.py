"""One property of an event that splits classes into finer ones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Factor"]


@dataclass(frozen=True)
class Factor:
    """A property with few values.

    * key: what it is; the same property is used once in a hierarchy
    * code: int64 (n,), the value of every event; -1 leaves an event in the class that it has
    * name: the words for the values from the first to the last code given; "" adds nothing to the name of a class
    * merge: what joins values with too few events. "adjacent": the values have an order; "pool": they become `other`;
      "never": they are named in an error
    """

    key: str
    code: NDArray[np.int64]
    name: Callable[[int, int], str]
    merge: str = "pool"

    @classmethod
    def named(cls, key: str, code: NDArray[np.int64], names: tuple[str, ...], merge: str = "pool") -> Factor:
        """A property whose values have names and no order."""
        return cls(key, code.astype(np.int64), lambda first, last: names[first], merge)
