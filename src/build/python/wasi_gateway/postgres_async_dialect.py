"""The same for `create_async_engine`."""

from . import async_dialect, postgres
from .pg8000_async_dialect import Context
from .postgres_dialect import Dialect


class AsyncDialect(async_dialect.Asynchronous, Dialect):
    supports_statement_cache = True
    execution_ctx_cls = Context

    @classmethod
    def import_dbapi(cls):
        return async_dialect.Module(postgres)
