"""What SQLAlchemy's dialects have in common here: a URL names one of the host's databases, and the host keeps the
connections to it.
"""

from sqlalchemy.pool import AsyncAdaptedQueuePool, NullPool

# As many connections as the host has for one database, where it is not told otherwise.
PRESENT, MORE = 5, 5


class HostPool(NullPool):
    """Keeps none: what an instance keeps of connections would have it made anew for the next request. What an application
    says of the size of its pool is the host's affair."""

    def __init__(self, creator, pool_size=PRESENT, max_overflow=MORE, timeout=30.0, use_lifo=False, **others):
        super().__init__(creator, **others)


class AsyncHostPool(AsyncAdaptedQueuePool):
    """Keeps none either, and has tasks wait their turn for as many as there may be at a time."""

    def __init__(self, creator, pool_size=PRESENT, max_overflow=MORE, **others):
        super().__init__(creator, pool_size=pool_size, max_overflow=max_overflow, **others)

    def _do_return_conn(self, record):
        # The place is kept, and opened again by whoever is next.
        record.close()
        super()._do_return_conn(record)


class HostDialect:
    driver = "wasmserve"

    @classmethod
    def get_pool_class(cls, url):
        return AsyncHostPool if cls.is_async else HostPool

    def create_connect_args(self, url):
        return [url.host or url.database], {}

    def on_connect(self):
        return None
