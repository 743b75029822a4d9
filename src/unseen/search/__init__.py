"""Signal-agnostic hypothesis tests on plain arrays: is the data distributed like the reference?"""

from unseen.search.combine import COMBINATIONS
from unseen.search.kernel_test import KernelTest
from unseen.search.null import Null
from unseen.search.result import SearchResult, Statistic

__all__ = ["COMBINATIONS", "KernelTest", "Null", "SearchResult", "Statistic"]
