"""Work in parallel: on the cores of this machine or on a Dask cluster."""
