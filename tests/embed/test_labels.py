from __future__ import annotations

import numpy as np
import pytest

from unseen.embed.labels import encode
from unseen.errors import UnknownNameError
from unseen.events import Events


def test_process_keeps_the_names_that_occur(toy: Events) -> None:
    without_a = toy[toy.label != 0]
    labelling = encode(without_a, "process")
    assert labelling.names == ("b", "c")
    np.testing.assert_array_equal(labelling.target, without_a.label - 1)
    assert labelling.target.dtype == np.int64


def test_none_is_one_class(toy: Events) -> None:
    labelling = encode(toy, "none")
    assert labelling.names == ("all",)
    assert (labelling.target == 0).all()


def test_unknown_encoding() -> None:
    with pytest.raises(UnknownNameError, match="label encoding"):
        encode(None, "flavour")
