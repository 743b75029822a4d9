"""Every objective gives two processes, on average, the loss and gradients that one has with the same global batch."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, multiprocessing

from tests.embed.two_processes import CASES, work

Results = dict[str, dict[str, Tensor]]


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> tuple[Results, Results]:
    folder = tmp_path_factory.mktemp("processes")
    state = torch.random.get_rng_state()
    work(0, 1, folder)
    torch.random.set_rng_state(state)
    multiprocessing.spawn(work, args=(2, folder), nprocs=2)
    return torch.load(folder / "1.pt"), torch.load(folder / "2.pt")


@pytest.mark.parametrize("case", sorted(CASES))
def test_two_processes_give_the_loss_and_gradients_of_one(case: str, results: tuple[Results, Results]) -> None:
    one, two = (result[case] for result in results)
    assert one.keys() == two.keys()
    torch.testing.assert_close(two.pop("loss"), one.pop("loss"), rtol=1e-5, atol=1e-5)
    largest = max(float(gradient.abs().max()) for gradient in one.values())
    assert largest > 0
    for name, gradient in one.items():
        # Sums in another order round differently, most where `barlow` divides by small deviations.
        assert float((two[name] - gradient).abs().max()) <= 1e-3 * largest, name
