"""Puts the drivers of databases where an application finds them, and tells SQLAlchemy of them, where that is there."""

import importlib
import importlib.util
import sys

DRIVERS = {"postgres": "wasmserve_postgres", "sqlite": "wasmserve_sqlite"}
DIALECTS = {"postgres": "postgresql.wasmserve", "sqlite": "sqlite.wasmserve"}


def install(names):
    for name in names:
        driver = importlib.import_module(f"{__package__}.{name}")
        sys.modules[DRIVERS[name]] = driver
    try:
        register = importlib.import_module("sqlalchemy.dialects").registry.register
    except ImportError:
        return
    for name in names:
        _register(register, DIALECTS[name], f"{name}_dialect")
    if importlib.util.find_spec("pg8000"):
        register("postgresql.pg8000_async", f"{__package__}.pg8000_dialect", "AsyncDialect")
        importlib.import_module(f"{__package__}.pg8000_dialect").install()


def _register(register, name, module):
    dialect = importlib.import_module(f"{__package__}.{module}")
    register(name, dialect.__name__, "Dialect")
    register(f"{name}_async", dialect.__name__, "AsyncDialect")
