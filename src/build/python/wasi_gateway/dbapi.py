"""What the drivers of databases have in common: the exceptions, types and cursor of PEP 249."""

import datetime
import itertools
import re

from componentize_py_types import Err

apilevel = "2.0"
# Threads run to their end here, one after the other.
threadsafety = 1


# What may stand before the first word of a statement.
BEFORE = r"(?:\s|--[^\n]*(?:\n|$)|/\*.*?\*/)*+"


def beginning_with(words):
    """The pattern of statements whose first words are these, whatever comments stand before them."""
    return re.compile(BEFORE + words, re.IGNORECASE | re.DOTALL)


# Texts, and names in quotes, in which a word is none of the statement.
QUOTED = re.compile(r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"")
# Where these stand, quotes may be none.
UNSURE = re.compile(r"\\|\$(?:[A-Za-z_]\w*)?\$|--|/\*")
PARENTHESIS = re.compile(r"[()]")
# What stands before the statement itself, where its parentheses were taken out.
NAMED_QUERIES = re.compile(
    r"\s*with\s+(?:recursive\s+)?[^\s,()]+\s+as\b(?:\s+(?:not\s+)?materialized\b)?\s*"
    r"(?:,\s*[^\s,()]+\s+as\b(?:\s+(?:not\s+)?materialized\b)?\s*)*",
    re.IGNORECASE,
)


def without_texts(statement):
    """The statement with its texts and quoted names empty, as far as it is sure which those are."""
    return statement if UNSURE.search(statement) else QUOTED.sub("''", statement)


def without_named_queries(statement):
    """The statement that follows WITH, as far as it is sure where that begins; otherwise all of it."""
    if not WITH.match(statement) or UNSURE.search(statement):
        return statement
    outer = _outside_of_parentheses(QUOTED.sub("''", statement))
    before = NAMED_QUERIES.match(outer)
    return outer[before.end() :] if before else statement


def _outside_of_parentheses(text):
    kept, depth, begin = [], 0, 0
    for found in PARENTHESIS.finditer(text):
        if depth == 0:
            kept.append(text[begin : found.start()])
        depth += 1 if found[0] == "(" else -1
        begin = found.end()
    return " ".join([*kept, text[begin:]])


WITH = beginning_with(r"with\b")


class Warning(Exception):
    pass


class Error(Exception):
    sqlstate = None


class InterfaceError(Error):
    pass


class DatabaseError(Error):
    pass


class DataError(DatabaseError):
    pass


class OperationalError(DatabaseError):
    pass


class IntegrityError(DatabaseError):
    pass


class InternalError(DatabaseError):
    pass


class ProgrammingError(DatabaseError):
    pass


class NotSupportedError(DatabaseError):
    pass


Date, Time, Timestamp = datetime.date, datetime.time, datetime.datetime
DateFromTicks = datetime.date.fromtimestamp
TimestampFromTicks = datetime.datetime.fromtimestamp
Binary = bytes


def TimeFromTicks(ticks):
    return datetime.datetime.fromtimestamp(ticks).time()


def asking(raised):
    """A function that calls the host; `raised` makes an exception of the host's error."""

    def asked(function, *arguments):
        try:
            return function(*arguments)
        except Err as error:
            raise raised(error.value) from None

    return asked


class Connection:
    """One connection of the host's, which is given back when it is closed, or with the request."""

    _handle = None

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        if kind is None:
            self.commit()
        else:
            self.rollback()

    def __del__(self):
        self.close()

    @property
    def closed(self):
        return self._handle is None

    def cursor(self, *args, **kwargs):
        self._open()
        return Cursor(self)

    def execute(self, statement, parameters=None):
        return self.cursor().execute(statement, parameters)

    def commit(self):
        self._end("COMMIT")

    def rollback(self):
        if self._handle is not None:
            self._end("ROLLBACK")

    def close(self):
        """The host rolls back what is open."""
        handle, self._handle = self._handle, None
        if handle is not None:
            handle.__exit__(None, None, None)

    def _open(self):
        if self._handle is None:
            raise InterfaceError("the connection is closed")
        return self._handle


class Cursor:
    arraysize = 1

    def __init__(self, connection):
        self.connection = connection
        self.description = None
        self.rowcount = -1
        self.lastrowid = None
        self._rows = iter(())
        self._is_closed = False

    def execute(self, statement, parameters=None):
        if self._is_closed:
            raise InterfaceError("the cursor is closed")
        self.description, self.rowcount, self._rows = None, -1, iter(())
        columns, rows, self.rowcount = self.connection._run(statement, parameters, self)
        if columns:
            self.description = [(name, kind, None, None, None, None, None) for name, kind in columns]
            self._rows = iter(rows)
        return self

    def executemany(self, statement, sequence):
        total = 0
        for parameters in sequence:
            self.execute(statement, parameters)
            total += max(self.rowcount, 0)
        self.rowcount = total
        return self

    def _fetched(self):
        if self.description is None:
            raise ProgrammingError("the last statement gave no rows")
        return self._rows

    def fetchone(self):
        return next(self._fetched(), None)

    def fetchmany(self, size=None):
        return list(itertools.islice(self._fetched(), size or self.arraysize))

    def fetchall(self):
        return list(self._fetched())

    def close(self):
        self._is_closed = True
        self._rows = iter(())

    def setinputsizes(self, *sizes):
        pass

    def setoutputsize(self, *sizes):
        pass

    def __iter__(self):
        return iter(self._fetched())

    def __enter__(self):
        return self

    def __exit__(self, *raised):
        self.close()
