"""Puts the drivers of databases where an application finds them, and tells SQLAlchemy of them, where that is there."""

import importlib
import importlib.util
import sys

DRIVERS = {"postgres": "wasmserve_postgres", "sqlite": "wasmserve_sqlite"}
DIALECTS = {"postgres": "postgresql.wasmserve", "sqlite": "sqlite.wasmserve"}
PG8000 = "pg8000_async_dialect"


def install(names):
    for name in names:
        driver = importlib.import_module(f"{__package__}.{name}")
        sys.modules[DRIVERS[name]] = driver
    try:
        register = importlib.import_module("sqlalchemy.dialects").registry.register
    except ImportError:
        return
    for name in names:
        _register(register, DIALECTS[name], f"{name}_dialect", "Dialect")
        _register(register, f"{DIALECTS[name]}_async", f"{name}_async_dialect", "AsyncDialect")
    if importlib.util.find_spec("pg8000") and (found := _register(register, "postgresql.pg8000_async", PG8000, "AsyncDialect")):
        found.PGDialect_pg8000.get_async_dialect_cls = classmethod(lambda cls, url: found.AsyncDialect)


def _register(register, name, module, attribute):
    """Imports it now, as it can be imported only while the component is built."""
    try:
        found = importlib.import_module(f"{__package__}.{module}")
    except ImportError:
        # SQLAlchemy before 2.0 has less of asyncio's.
        if attribute == "AsyncDialect":
            return None
        raise
    register(name, found.__name__, attribute)
    return found
