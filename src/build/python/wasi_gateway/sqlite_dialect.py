"""SQLAlchemy's `sqlite+wasmserve://NAME`: what it does for Python's own module, over connections of the host's."""

from sqlalchemy.dialects.sqlite.base import SQLiteExecutionContext
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite

from . import async_dialect, sqlite
from .host_dialect import HostDialect


class Dialect(HostDialect, SQLiteDialect_pysqlite):
    # SQLAlchemy looks for this in the class itself.
    supports_statement_cache = True

    @classmethod
    def import_dbapi(cls):
        return sqlite

    @classmethod
    def get_async_dialect_cls(cls, url):
        return AsyncDialect

    def is_disconnect(self, e, connection, cursor):
        return False


class Context(async_dialect.Context, SQLiteExecutionContext):
    pass


class AsyncDialect(async_dialect.Asynchronous, Dialect):
    supports_statement_cache = True
    execution_ctx_cls = Context

    @classmethod
    def import_dbapi(cls):
        return async_dialect.Module(sqlite)
