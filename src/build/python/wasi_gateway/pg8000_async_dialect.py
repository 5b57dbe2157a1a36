"""SQLAlchemy's `postgresql+pg8000://…` for `create_async_engine` too."""

from sqlalchemy.dialects.postgresql.pg8000 import PGDialect_pg8000, PGExecutionContext_pg8000

from . import async_dialect


class Context(async_dialect.Context, PGExecutionContext_pg8000):
    pass


class AsyncDialect(async_dialect.Asynchronous, PGDialect_pg8000):
    # SQLAlchemy looks for this in the class itself.
    supports_statement_cache = True
    execution_ctx_cls = Context

    @classmethod
    def import_dbapi(cls):
        return async_dialect.Module(PGDialect_pg8000.import_dbapi())
