"""SQLAlchemy's `sqlite+wasmserve://NAME`: what it does for Python's own module, over connections of the host's."""

from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite

from . import sqlite
from .host_dialect import HostDialect


class Dialect(HostDialect, SQLiteDialect_pysqlite):
    # SQLAlchemy looks for this in the class itself.
    supports_statement_cache = True

    @classmethod
    def import_dbapi(cls):
        return sqlite

    @classmethod
    def get_async_dialect_cls(cls, url):
        from .sqlite_async_dialect import AsyncDialect

        return AsyncDialect

    def is_disconnect(self, e, connection, cursor):
        return False
