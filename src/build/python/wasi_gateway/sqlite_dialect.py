"""SQLAlchemy's `sqlite+wasmserve://NAME`: what it does for Python's own module, over connections of the host's."""

from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite
from sqlalchemy.pool import NullPool

from . import sqlite


class Dialect(SQLiteDialect_pysqlite):
    driver = "wasmserve"
    supports_statement_cache = True

    @classmethod
    def import_dbapi(cls):
        return sqlite

    @classmethod
    def get_pool_class(cls, url):
        return NullPool

    def create_connect_args(self, url):
        return [url.host or url.database], {}

    def on_connect(self):
        return None

    def is_disconnect(self, e, connection, cursor):
        return False
