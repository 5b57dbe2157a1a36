"""The module `wasmserve_postgres`: PostgreSQL over connections that the host lends (spin:postgres), as PEP 249 has it.

`connect(NAME)` takes the name that the operator has granted with --postgres.
"""

import datetime
import decimal
import itertools
import json
import re
import uuid

from wit_world.imports import postgres as host

from . import dbapi
from .dbapi import *  # noqa: F403 (what PEP 249 has in the module)

paramstyle = "format"
UTC = datetime.timezone.utc
# These give a count, and no rows.
COUNTED = dbapi.beginning_with(r"(?:insert|update|delete|merge)\b(?!.*\breturning\b)")
# Texts and names in quotes, in which a word is none of the statement.
QUOTED = re.compile(r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"")
# Where these stand, quotes may be none.
UNSURE = re.compile(r"\\|\$(?:[A-Za-z_]\w*)?\$|--|/\*")
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
# What PostgreSQL calls these types (pg_type.dat), as a description has it. Others are told by their names.
OIDS = {
    "boolean": 16, "binary": 17, "int64": 20, "int16": 21, "int32": 23, "str": 25, "json": 114, "floating32": 700,
    "floating64": 701, "arrayint32": 1007, "arraystr": 1009, "arrayint64": 1016, "date": 1082, "time": 1083,
    "datetime": 1114, "timestamptz": 1184, "interval": 1186, "arraydecimal": 1231, "decimal": 1700, "uuid": 2950,
    "jsonb": 3802,
}  # fmt: skip
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
            if isinstance(parameters, dict):
                raise dbapi.ProgrammingError("parameters are a sequence here, for %s in the statement (paramstyle format)")
            values = [_given(value) for value in parameters]
            numbers = itertools.count(1)
            statement = PLACES.sub(lambda place: "%" if place[1] == "%" else f"${next(numbers)}", statement)
            if (places := next(numbers) - 1) != len(values):
                raise dbapi.ProgrammingError(f"the statement has {places} of %s, and {len(values)} parameters were given")
        if BEGINS.match(statement):
            return self._begun_or_ended(statement, is_begun=True)
        if ENDS.match(statement):
            return self._begun_or_ended(statement, is_begun=False)
        if not self._is_begun and not self._autocommit:
            _asked(handle.execute, "BEGIN", [])
            self._is_begun = True
        if COUNTED.match(statement if UNSURE.search(statement) else QUOTED.sub("''", statement)):
            return None, (), _asked(handle.execute, statement, values)
        found = _asked(handle.query, statement, values)
        kinds = [_kind(column.data_type) for column in found.columns]
        columns = [(column.name, OIDS.get(kind, kind)) for column, kind in zip(found.columns, kinds)]
        rows = [tuple(map(_got, row, kinds)) for row in found.rows]
        return columns, rows, len(rows) if columns else -1

    def _begun_or_ended(self, statement, is_begun):
        """Runs what somebody sends who begins and ends transactions by statements: what is done next is none of this one."""
        if self._is_begun or is_begun:
            _asked(self._handle.execute, statement, [])
        self._is_begun = is_begun
        return None, (), -1


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


def _given(value):
    """A parameter. What has a type of its own there says so; everything else is a text that the statement gives a type."""
    match value:
        case None:
            return host.ParameterValue_DbNull()
        case bool():
            return host.ParameterValue_Boolean(value)
        case int() if -(1 << 31) <= value < 1 << 31:
            return host.ParameterValue_Int32(int(value))
        case int() if -(1 << 63) <= value < 1 << 63:
            return host.ParameterValue_Int64(int(value))
        case int() | decimal.Decimal():
            return host.ParameterValue_Decimal(str(value))
        case float():
            return host.ParameterValue_Floating64(value)
        case str():
            return host.ParameterValue_Str(str(value))
        case bytes() | bytearray() | memoryview():
            return host.ParameterValue_Binary(bytes(value))
        case datetime.datetime():
            return host.ParameterValue_Str(value.isoformat(" "))
        case datetime.date() | datetime.time():
            return host.ParameterValue_Str(value.isoformat())
        case datetime.timedelta():
            micros = value.seconds * 1_000_000 + value.microseconds
            return host.ParameterValue_Interval(host.Interval(micros, value.days, 0))
        case uuid.UUID():
            return host.ParameterValue_Uuid(str(value))
        case dict():
            return host.ParameterValue_Jsonb(json.dumps(value).encode())
        case list() | tuple():
            return host.ParameterValue_Str(_array(value))
    raise dbapi.ProgrammingError(f"a {type(value).__name__} cannot be a parameter")


def _array(values):
    return "{" + ",".join(map(_element, values)) + "}"


def _element(value):
    if value is None:
        return "NULL"
    if isinstance(value, (list, tuple)):
        return _array(value)
    text = value.isoformat() if isinstance(value, (datetime.date, datetime.time)) else str(value)
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _kind(kind):
    """The name of a column's type."""
    value = getattr(kind, "value", None)
    return value if isinstance(value, str) else type(kind).__name__.removeprefix("DbDataType_").lower()


def _got(value, kind):
    value_type = type(value)
    if value_type is host.DbValue_DbNull:
        return None
    found = value.value
    try:
        convert = CONVERT.get(value_type)
        found = convert(found) if convert else found
    except (ValueError, OverflowError) as error:
        raise dbapi.DataError(f"Python has no such value: {error}") from None
    return found.replace(tzinfo=UTC) if kind == "timestamptz" and isinstance(found, datetime.datetime) else found


def _moment(value):
    year, month, day, hour, minute, second, nanos = value
    return datetime.datetime(year, month, day, hour, minute, second, nanos // 1000)


def _time(value):
    hour, minute, second, nanos = value
    return datetime.time(hour % 24, minute, second, nanos // 1000)


def _interval(value):
    return datetime.timedelta(days=value.days + 30 * value.months, microseconds=value.micros)


def _decimals(values):
    return [None if value is None else decimal.Decimal(value) for value in values]


def _range(value):
    lower, upper = value
    inclusive = host.RangeBoundKind.INCLUSIVE
    begin = "[" if lower and lower[1] == inclusive else "("
    end = "]" if upper and upper[1] == inclusive else ")"
    return f"{begin}{lower[0] if lower else ''},{upper[0] if upper else ''}{end}"


CONVERT = {
    host.DbValue_Date: lambda value: datetime.date(*value),
    host.DbValue_Time: _time,
    host.DbValue_Datetime: _moment,
    host.DbValue_Uuid: uuid.UUID,
    host.DbValue_Jsonb: json.loads,
    host.DbValue_Decimal: decimal.Decimal,
    host.DbValue_Interval: _interval,
    host.DbValue_ArrayDecimal: _decimals,
    host.DbValue_RangeInt32: _range,
    host.DbValue_RangeInt64: _range,
    host.DbValue_RangeDecimal: _range,
}
