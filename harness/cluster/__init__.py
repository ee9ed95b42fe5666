"""Trials on other machines: what travels to a worker and back, and the Dask cluster that carries it."""
