"""Work in parallel: on the cores of this machine or on a Dask cluster.

>>> with workers("local", 4) as pool:  # doctest: +SKIP
...     pool.run(make_shard, jobs, finished=lambda job, info: print(job, info))
"""

from unseen.workers.base import Task, Workers, workers
from unseen.workers.names import CLUSTERS, check_cluster, cores

__all__ = ["CLUSTERS", "Task", "Workers", "check_cluster", "cores", "workers"]
