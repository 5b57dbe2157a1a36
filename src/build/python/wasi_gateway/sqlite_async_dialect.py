"""The same for `create_async_engine`."""

from sqlalchemy.dialects.sqlite.base import SQLiteExecutionContext

from . import async_dialect, sqlite
from .sqlite_dialect import Dialect


class Context(async_dialect.Context, SQLiteExecutionContext):
    pass


class AsyncDialect(async_dialect.Asynchronous, Dialect):
    supports_statement_cache = True
    execution_ctx_cls = Context

    @classmethod
    def import_dbapi(cls):
        return async_dialect.Module(sqlite)
