"""The module `wasmserve_sqlite`: files of SQLite that the host opens (spin:sqlite), as PEP 249 has it.

`connect(NAME)` takes the name that the operator has granted with --sqlite.
"""

import datetime

from wit_world.imports import sqlite as host

from . import dbapi
from .dbapi import *  # noqa: F403 (what PEP 249 has in the module)

paramstyle = "qmark"
# The host's is at least this; SQLAlchemy asks before there is a connection.
sqlite_version_info = (3, 45, 0)
sqlite_version = "3.45.0"
PARSE_DECLTYPES, PARSE_COLNAMES = 1, 2
# Before these a transaction begins, as in Python's own module.
WRITES = dbapi.beginning_with(r"(?:with\b.*?\b)?(?:insert|update|delete|replace)\b")
COUNTED = dbapi.beginning_with(r"(?:insert|update|delete|replace)\b")
ENDS = dbapi.beginning_with(r"(commit|end|rollback(?!\s+(?:transaction\s+)?to\b)|begin)\b")

# Outside of a transaction the first begins one, which ends when the same is released.
SAVEPOINT = dbapi.beginning_with(r"savepoint\s+(\S+?)\s*;?\s*$")
RELEASE = dbapi.beginning_with(r"release\s+(?:savepoint\s+)?(\S+?)\s*;?\s*$")


def connect(name):
    """Opens the database of this name."""
    return Connection(name)


class Connection(dbapi.Connection):
    def __init__(self, name):
        # None is autocommit, as in Python's own module.
        self.isolation_level = ""
        self.in_transaction = False
        self._outermost = None
        self._handle = _asked(host.Connection.open, name)

    def _end(self, statement):
        handle = self._open()
        if self.in_transaction:
            # A transaction whose COMMIT fails, as the database is busy, goes on.
            _asked(handle.execute, statement, [])
            self.in_transaction, self._outermost = False, None

    def _run(self, statement, parameters, cursor):
        handle = self._open()
        if isinstance(parameters, dict):
            raise dbapi.ProgrammingError("parameters are a sequence here, for ? in the statement (paramstyle qmark)")
        values = [_given(value) for value in parameters or ()]
        if not self.in_transaction and self.isolation_level is not None and WRITES.match(statement):
            _asked(handle.execute, "BEGIN IMMEDIATE", [])
            self.in_transaction = True
        found = _asked(handle.execute, statement, values)
        if ended := ENDS.match(statement):
            self.in_transaction, self._outermost = ended[1].lower() == "begin", None
        elif not self.in_transaction and (named := SAVEPOINT.match(statement)):
            self.in_transaction, self._outermost = True, named[1].lower()
        elif self._outermost and (named := RELEASE.match(statement)) and named[1].lower() == self._outermost:
            self.in_transaction, self._outermost = False, None
        count = -1
        if COUNTED.match(dbapi.without_named_queries(statement)):
            count, cursor.lastrowid = handle.changes(), handle.last_insert_rowid()
        rows = [tuple(None if type(it) is host.Value_Null else it.value for it in row.values) for row in found.rows]
        return [(name, None) for name in found.columns], rows, count


def _raised(error):
    if isinstance(error, host.Error_NoSuchDatabase):
        return dbapi.OperationalError("there is no database of this name; --sqlite NAME=PATH would grant it")
    if isinstance(error, host.Error_AccessDenied):
        return dbapi.OperationalError("not authorized")
    if isinstance(error, host.Error_DatabaseFull):
        return dbapi.OperationalError("database or disk is full")
    text = str(getattr(error, "value", "the connection cannot be used"))
    kind = dbapi.IntegrityError if "constraint failed" in text else dbapi.OperationalError
    return kind(text)


_asked = dbapi.asking(_raised)


def _given(value):
    match value:
        case None:
            return host.Value_Null()
        case int():
            if not -(1 << 63) <= value < 1 << 63:
                raise OverflowError("Python int too large to convert to SQLite INTEGER")
            return host.Value_Integer(int(value))
        case float():
            return host.Value_Real(value)
        case str():
            return host.Value_Text(str(value))
        case bytes() | bytearray() | memoryview():
            return host.Value_Blob(bytes(value))
        case datetime.datetime():
            return host.Value_Text(value.isoformat(" "))
        case datetime.date():
            return host.Value_Text(value.isoformat())
    raise dbapi.ProgrammingError(f"a {type(value).__name__} cannot be a parameter")
