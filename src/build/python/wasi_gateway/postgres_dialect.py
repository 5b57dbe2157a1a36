"""SQLAlchemy's `postgresql+wasmserve://NAME`. Its statements are those for pg8000, which takes values as they are."""

from sqlalchemy.dialects.postgresql.pg8000 import PGDialect_pg8000
from sqlalchemy.pool import NullPool

from . import postgres


class Dialect(PGDialect_pg8000):
    driver = "wasmserve"
    supports_statement_cache = True
    supports_server_side_cursors = False
    # Of pg8000, whose ways of this version are known here.
    _dbapi_version = (1, 31, 0)

    @classmethod
    def import_dbapi(cls):
        return postgres

    @classmethod
    def get_pool_class(cls, url):
        # The host keeps the connections. What an instance keeps of them would have it made anew for the next request.
        return NullPool

    def create_connect_args(self, url):
        return [url.host or url.database], {}

    def on_connect(self):
        return None

    def is_disconnect(self, e, connection, cursor):
        return isinstance(e, postgres.OperationalError) and e.sqlstate in (None, "57P01", "57P02", "57P03")
