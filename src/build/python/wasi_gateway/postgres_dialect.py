"""SQLAlchemy's `postgresql+wasmserve://NAME`. Its statements are those for pg8000, which takes values as they are."""

from sqlalchemy.dialects.postgresql.pg8000 import PGDialect_pg8000

from . import postgres
from .host_dialect import HostDialect


class Dialect(HostDialect, PGDialect_pg8000):
    # SQLAlchemy looks for this in the class itself.
    supports_statement_cache = True
    supports_server_side_cursors = False
    # Of pg8000, whose ways of this version are known here.
    _dbapi_version = (1, 31, 0)

    @classmethod
    def import_dbapi(cls):
        return postgres

    @classmethod
    def get_async_dialect_cls(cls, url):
        from .postgres_async_dialect import AsyncDialect

        return AsyncDialect

    def is_disconnect(self, e, connection, cursor):
        return isinstance(e, postgres.OperationalError) and e.sqlstate in (None, "57P01", "57P02", "57P03")
