"""Embedding on workers gives the numbers of embedding here, bit for bit."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from unseen.embed import Model, embed_on
from unseen.errors import NonFiniteError, SchemaError
from unseen.events import Events
from unseen.workers import workers
