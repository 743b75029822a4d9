"""A training for other processes to run, with partners, which do not depend on how many there are: OUT DEVICES."""

from __future__ import annotations

import sys

import torch

from tests.embed.toy import toy_events, toy_settings
from unseen.embed import train


def main(out: str, devices: int) -> None:
    torch.set_num_threads(1)
    shared = {"batch_size": 64, "validation_fraction": 0.2, "balance": "sampler"}
    settings = toy_settings(devices=devices, views=["resimulate"], n_views=3, **shared)
    train(toy_events(640, seed=0, copies=4), settings, out, seed=1, progress=lambda *report: print(*report, flush=True))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
