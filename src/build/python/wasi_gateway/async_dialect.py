"""SQLAlchemy's asyncio over drivers that know nothing of it: each statement is done when it is called, and what awaits it
goes on at once. An instance serves one request at a time, so nobody else's waits.
"""

from sqlalchemy.connectors.asyncio import (
    AsyncAdapt_dbapi_connection,
    AsyncAdapt_dbapi_cursor,
    AsyncAdapt_dbapi_module,
    AsyncAdapt_dbapi_ss_cursor,
)
from sqlalchemy.util import await_only


class DriverCursor:
    """A driver's cursor, as a driver for asyncio would have it."""

    def __init__(self, cursor):
        self._cursor = cursor

    def __getattr__(self, name):
        return getattr(self._cursor, name)

    @property
    def arraysize(self):
        return self._cursor.arraysize

    @arraysize.setter
    def arraysize(self, size):
        self._cursor.arraysize = size

    async def __aenter__(self):
        return self

    async def execute(self, *asked):
        self._cursor.execute(*asked)
        return self

    async def executemany(self, *asked):
        self._cursor.executemany(*asked)
        return self

    async def fetchone(self):
        return self._cursor.fetchone()

    async def fetchmany(self, size=None):
        return self._cursor.fetchmany(size)

    async def fetchall(self):
        return self._cursor.fetchall()

    async def setinputsizes(self, *sizes):
        self._cursor.setinputsizes(*sizes)

    async def nextset(self):
        return None

    async def close(self):
        self._cursor.close()

    async def __aiter__(self):
        while (row := self._cursor.fetchone()) is not None:
            yield row


class DriverConnection:
    """And its connection."""

    def __init__(self, connection):
        self._connection = connection

    def __getattr__(self, name):
        return getattr(self._connection, name)

    def cursor(self):
        return DriverCursor(self._connection.cursor())

    async def commit(self):
        self._connection.commit()

    async def rollback(self):
        self._connection.rollback()

    async def close(self):
        self._connection.close()


class Connection(AsyncAdapt_dbapi_connection):
    __slots__ = ()

    _cursor_cls = AsyncAdapt_dbapi_cursor
    _ss_cursor_cls = AsyncAdapt_dbapi_ss_cursor

    def __getattr__(self, name):
        return getattr(self._connection, name)

    @property
    def autocommit(self):
        return self._connection.autocommit

    @autocommit.setter
    def autocommit(self, value):
        self._connection._connection.autocommit = value

    @property
    def isolation_level(self):
        return self._connection.isolation_level

    @isolation_level.setter
    def isolation_level(self, value):
        self._connection._connection.isolation_level = value


class Module(AsyncAdapt_dbapi_module):
    """A driver's module."""

    def __init__(self, driver):
        # What SQLAlchemy sets in this class itself, in versions that do.
        self.driver, self.dbapi_module = driver, None

    def __getattr__(self, name):
        return getattr(self.driver, name)

    def connect(self, *asked, async_creator_fn=None, **named):
        if async_creator_fn is not None:
            return Connection(self, await_only(async_creator_fn(*asked, **named)))
        return Connection(self, await_only(self._opened(*asked, **named)))

    async def _opened(self, *asked, **named):
        # Awaited like what would take its time, so that it can be asked for where that can, and nowhere else.
        return DriverConnection(self.driver.connect(*asked, **named))


class Asynchronous:
    """What makes a dialect one for asyncio."""

    is_async = True
    # What is streamed is there already.
    supports_server_side_cursors = True

    def get_driver_connection(self, connection):
        return connection._connection

    @classmethod
    def get_async_dialect_cls(cls, url):
        return cls


class Context:
    """Of a statement."""

    def create_server_side_cursor(self):
        return self._dbapi_connection.cursor(server_side=True)
