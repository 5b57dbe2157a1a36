"""Puts the drivers of databases where an application finds them, and tells SQLAlchemy of them, where that is there."""

import importlib
import importlib.util
import sys

DRIVERS = {"postgres": "wasmserve_postgres", "sqlite": "wasmserve_sqlite"}
DIALECTS = {"postgres": "postgresql.wasmserve", "sqlite": "sqlite.wasmserve"}
PG8000 = f"{__package__}.pg8000_async_dialect"


def install(names):
    for name in names:
        driver = importlib.import_module(f"{__package__}.{name}")
        sys.modules[DRIVERS[name]] = driver
    try:
        register = importlib.import_module("sqlalchemy.dialects").registry.register
    except ImportError:
        return
    for name in names:
        dialect = f"{__package__}.{name}_dialect"
        importlib.import_module(dialect)
        register(DIALECTS[name], dialect, "Dialect")
        register(f"{DIALECTS[name]}_async", f"{__package__}.{name}_async_dialect", "AsyncDialect")
    if importlib.util.find_spec("pg8000"):
        register("postgresql.pg8000_async", PG8000, "AsyncDialect")
        known = importlib.import_module("sqlalchemy.dialects.postgresql.pg8000").PGDialect_pg8000
        known.get_async_dialect_cls = classmethod(lambda cls, url: importlib.import_module(PG8000).AsyncDialect)
