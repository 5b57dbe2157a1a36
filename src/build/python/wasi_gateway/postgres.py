"""The module `wasmserve_postgres`: PostgreSQL over connections that the host lends (spin:postgres), as PEP 249 has it.

`connect(NAME)` takes the name that the operator has granted with --postgres.
"""

import itertools
import re

from wit_world.imports import postgres as host

from . import dbapi
from .dbapi import *  # noqa: F403 (what PEP 249 has in the module)
from .postgres_values import OIDS, Range, given, got, kind_of  # noqa: F401 (SQLAlchemy takes Range from here)

paramstyle = "format"
# These give a count, and no rows.
COUNTED = dbapi.beginning_with(r"(?:insert|update|delete|merge)\b(?!.*\breturning\b)")
# These begin a transaction or end one, as statements that anybody may send.
BEGINS = dbapi.beginning_with(r"(?:begin|start\s+transaction)\b")
ENDS = dbapi.beginning_with(
    r"(?:(?:commit|rollback)(?!\s+prepared\b|\s+(?:(?:work|transaction)\s+)?to\b)|end|abort|prepare\s+transaction)\b"
    r"(?!.*\band\s+chain\b)"
)
# A placeholder, and what is none: a doubled percent sign.
PLACES = re.compile(r"%(s|%)")
KINDS = {
    "0A": dbapi.NotSupportedError,
    "22": dbapi.DataError,
    "23": dbapi.IntegrityError,
    "25": dbapi.InternalError,
    "26": dbapi.ProgrammingError,
    "3D": dbapi.ProgrammingError,
    "3F": dbapi.ProgrammingError,
    "42": dbapi.ProgrammingError,
    "XX": dbapi.InternalError,
}
OPERATIONAL = ("08", "28", "40", "53", "54", "55", "57", "58")


def connect(name):
    """Borrows a connection to the database of this name."""
    return Connection(name)


class Connection(dbapi.Connection):
    def __init__(self, name):
        self._is_begun = False
        self._autocommit = False
        self._handle = _asked(host.Connection.open, name)

    @property
    def autocommit(self):
        return self._autocommit

    @autocommit.setter
    def autocommit(self, value):
        if self._is_begun:
            self.rollback()
        self._autocommit = bool(value)

    def _end(self, statement):
        handle = self._open()
        if self._is_begun:
            self._is_begun = False
            _asked(handle.execute, statement, [])

    def _run(self, statement, parameters, cursor):
        handle = self._open()
        values = []
        if parameters is not None:
            statement, values = _placed(statement, parameters)
        if BEGINS.match(statement):
            return self._begun_or_ended(statement, is_begun=True)
        if ENDS.match(statement):
            return self._begun_or_ended(statement, is_begun=False)
        if not self._is_begun and not self._autocommit:
            _asked(handle.execute, "BEGIN", [])
            self._is_begun = True
        if COUNTED.match(dbapi.without_texts(dbapi.without_named_queries(statement))):
            return None, (), _asked(handle.execute, statement, values)
        found = _asked(handle.query, statement, values)
        kinds = [kind_of(column.data_type) for column in found.columns]
        columns = [(column.name, OIDS.get(kind, kind)) for column, kind in zip(found.columns, kinds)]
        rows = [tuple(map(got, row, kinds)) for row in found.rows]
        return columns, rows, len(rows) if columns else -1

    def _begun_or_ended(self, statement, is_begun):
        """Runs what somebody sends who begins and ends transactions by statements: what is done next is none of this one."""
        if self._is_begun or is_begun:
            _asked(self._handle.execute, statement, [])
        self._is_begun = is_begun
        return None, (), -1


def _placed(statement, parameters):
    """The statement as the host takes it ($1, $2, …), and the parameters for it."""
    if isinstance(parameters, dict):
        raise dbapi.ProgrammingError("parameters are a sequence here, for %s in the statement (paramstyle format)")
    all_given = [given(value) for value in parameters]
    casts = iter(all_given)
    numbers = itertools.count(1)

    def written(place):
        if place[1] == "%":
            return "%"
        _, cast = next(casts, (None, ""))
        return f"${next(numbers)}{cast}"

    statement = PLACES.sub(written, statement)
    if (places := next(numbers) - 1) != len(all_given):
        raise dbapi.ProgrammingError(f"the statement has {places} of %s, and {len(all_given)} parameters were given")
    return statement, [value for value, _ in all_given]


def _raised(error):
    value = getattr(error, "value", None)
    if isinstance(error, host.Error_ConnectionFailed):
        return dbapi.OperationalError(value)
    if isinstance(error, (host.Error_BadParameter, host.Error_ValueConversionFailed)):
        return dbapi.DataError(value)
    if not isinstance(error, host.Error_QueryFailed):
        return dbapi.DatabaseError(str(value))
    if not isinstance(value, host.QueryError_DbError):
        return dbapi.OperationalError(value.value)
    found = value.value
    kind = dbapi.OperationalError if found.code[:2] in OPERATIONAL else KINDS.get(found.code[:2], dbapi.DatabaseError)
    text = f"{found.message}\nDETAIL:  {found.detail}" if found.detail else found.message
    raised = kind(text)
    raised.sqlstate = raised.pgcode = found.code
    raised.diag = {"severity": found.severity, "message": found.message, "detail": found.detail, **dict(found.extras)}
    return raised


_asked = dbapi.asking(_raised)
