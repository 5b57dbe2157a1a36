"""Puts the drivers of databases where an application finds them, and tells SQLAlchemy of them, where that is there."""

import importlib
import sys

DRIVERS = {"postgres": "wasmserve_postgres", "sqlite": "wasmserve_sqlite"}


def install(names):
    for name in names:
        driver = importlib.import_module(f"{__package__}.{name}")
        sys.modules[DRIVERS[name]] = driver
        try:
            register = importlib.import_module("sqlalchemy.dialects").registry.register
        except ImportError:
            continue
        dialect = importlib.import_module(f"{__package__}.{name}_dialect")
        register({"postgres": "postgresql.wasmserve", "sqlite": "sqlite.wasmserve"}[name], dialect.__name__, "Dialect")
