"""Values of PostgreSQL in Python: what is given for a parameter, and what comes of a value.

The interface of the host names the most usual types. Values of others come in PostgreSQL's binary format (the functions
`…_send` of its source), which is read here.
"""

import datetime
import decimal
import ipaddress
import json
import struct
import uuid

from wit_world.imports import postgres as host

from . import dbapi

UTC = datetime.timezone.utc
EPOCH = datetime.datetime(2000, 1, 1)
# What PostgreSQL calls these types (pg_type.dat). Others are told by their names.
OIDS = {
    "boolean": 16, "binary": 17, "int64": 20, "int16": 21, "int32": 23, "str": 25, "json": 114, "xml": 142,
    "_json": 199, "cidr": 650, "floating32": 700, "floating64": 701, "money": 790, "macaddr": 829, "inet": 869,
    "_bool": 1000, "_bytea": 1001, "_int2": 1005, "arrayint32": 1007, "arraystr": 1009, "arrayint64": 1016,
    "_float4": 1021, "_float8": 1022, "_inet": 1041, "date": 1082, "time": 1083, "datetime": 1114, "_timestamp": 1115,
    "_date": 1182, "_time": 1183, "timestamptz": 1184, "_timestamptz": 1185, "interval": 1186, "_interval": 1187,
    "arraydecimal": 1231, "timetz": 1266, "bit": 1560, "varbit": 1562, "decimal": 1700, "uuid": 2950, "_uuid": 2951,
    "jsonb": 3802, "_jsonb": 3807, "rangeint32": 3904, "rangedecimal": 3906, "tsrange": 3908, "tstzrange": 3910,
    "daterange": 3912, "rangeint64": 3926,
}  # fmt: skip
# The types of a range's ends.
ENDS = {
    "rangeint32": 23, "rangeint64": 20, "rangedecimal": 1700, "daterange": 1082, "tsrange": 1114, "tstzrange": 1184,
    "int4multirange": 23, "int8multirange": 20, "nummultirange": 1700, "datemultirange": 1082, "tsmultirange": 1114,
    "tstzmultirange": 1184,
}  # fmt: skip
# From here on types are made by people: what is no composite has the text that they write.
FIRST_OF_PEOPLE = 16384


class Range:
    """A range, as pg8000 has it. An end that is None is open."""

    def __init__(self, lower=None, upper=None, bounds="[)", is_empty=False):
        self.lower, self.upper, self.bounds, self.is_empty = lower, upper, bounds, is_empty

    def __eq__(self, other):
        if not isinstance(other, Range):
            return NotImplemented
        if self.is_empty or other.is_empty:
            return self.is_empty == other.is_empty
        return (self.lower, self.upper, self.bounds) == (other.lower, other.upper, other.bounds)

    def __hash__(self):
        return hash("empty" if self.is_empty else (self.lower, self.upper, self.bounds))

    def __str__(self):
        if self.is_empty:
            return "empty"
        lower, upper = ("" if end is None else _element(end) for end in (self.lower, self.upper))
        return f"{self.bounds[0]}{lower},{upper}{self.bounds[1]}"

    def __repr__(self):
        return f"<Range {self}>"


def given(value):
    """A parameter, and the cast that says its type in the statement. Texts have the type that the statement needs."""
    match value:
        case None:
            return host.ParameterValue_DbNull(), ""
        case bool():
            return host.ParameterValue_Boolean(value), ""
        case int() if -(1 << 31) <= value < 1 << 31:
            return host.ParameterValue_Int32(int(value)), ""
        case int() if -(1 << 63) <= value < 1 << 63:
            return host.ParameterValue_Int64(int(value)), ""
        case int() | decimal.Decimal():
            return host.ParameterValue_Decimal(str(value)), ""
        case float():
            return host.ParameterValue_Floating64(value), ""
        case str():
            # What an enum says of itself is not its value.
            return host.ParameterValue_Str(str.__str__(value)), ""
        case bytes() | bytearray() | memoryview():
            return host.ParameterValue_Binary(bytes(value)), ""
        case datetime.datetime():
            return host.ParameterValue_Str(value.isoformat(" ")), "::timestamptz" if value.tzinfo else "::timestamp"
        case datetime.date():
            return host.ParameterValue_Str(value.isoformat()), "::date"
        case datetime.time():
            return host.ParameterValue_Str(value.isoformat()), "::timetz" if value.tzinfo else "::time"
        case datetime.timedelta():
            micros = value.seconds * 1_000_000 + value.microseconds
            return host.ParameterValue_Interval(host.Interval(micros, value.days, 0)), ""
        case uuid.UUID():
            return host.ParameterValue_Uuid(str(value)), ""
        case dict():
            return host.ParameterValue_Jsonb(json.dumps(value).encode()), ""
        case list() | tuple():
            return host.ParameterValue_Str(_array(value)), ""
        case Range():
            return host.ParameterValue_Str(str(value)), ""
        case ipaddress.IPv4Network() | ipaddress.IPv6Network():
            return host.ParameterValue_Str(str(value)), "::cidr"
        case ipaddress.IPv4Address() | ipaddress.IPv6Address():
            return host.ParameterValue_Str(str(value)), "::inet"
    raise dbapi.ProgrammingError(f"a {type(value).__name__} cannot be a parameter")


def _array(values):
    if values and all(isinstance(value, Range) for value in values):
        # A multirange: of what type, the statement says.
        return "{" + ",".join(map(str, values)) + "}"
    return "{" + ",".join(map(_element, values)) + "}"


def _element(value):
    if value is None:
        return "NULL"
    if isinstance(value, (list, tuple)):
        return _array(value)
    if isinstance(value, (bytes, bytearray, memoryview)):
        text = "\\x" + bytes(value).hex()
    elif isinstance(value, (datetime.date, datetime.time)):
        text = value.isoformat()
    elif isinstance(value, dict):
        text = json.dumps(value)
    else:
        text = str.__str__(value) if isinstance(value, str) else str(value)
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def kind_of(kind):
    """The name of a column's type."""
    value = getattr(kind, "value", None)
    return value if isinstance(value, str) else type(kind).__name__.removeprefix("DbDataType_").lower()


def got(value, kind):
    """What comes of a value whose column has a type of this name."""
    value_type = type(value)
    if value_type is host.DbValue_DbNull:
        return None
    found = value.value
    try:
        if value_type is host.DbValue_Unsupported:
            return _unsupported(found, kind)
        convert = CONVERT.get(value_type)
        found = convert(found) if convert else found
    except (ValueError, OverflowError, struct.error) as error:
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
    begin = "[" if lower and lower[1] == host.RangeBoundKind.INCLUSIVE else "("
    end = "]" if upper and upper[1] == host.RangeBoundKind.INCLUSIVE else ")"
    return Range(lower[0] if lower else None, upper[0] if upper else None, begin + end)


def _decimal_range(value):
    found = _range(value)
    ends = (None if end is None else decimal.Decimal(end) for end in (found.lower, found.upper))
    return Range(*ends, found.bounds)


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
    host.DbValue_RangeDecimal: _decimal_range,
}


def _unsupported(data, kind):
    """Reads the binary format. What is not known stays as it is."""
    if kind.startswith(("_", "array")):
        return _read_array(data)
    if end := ENDS.get(kind):
        return _read_multirange(data, end) if kind.endswith("multirange") else _read_range(data, end)
    read = READ.get(OIDS.get(kind))
    return read(data) if read else data


class _Reader:
    """Reads one part of a value after the other."""

    def __init__(self, data):
        self.data, self.at = data, 0

    def numbers(self, layout):
        found = struct.unpack_from(">" + layout, self.data, self.at)
        self.at += struct.calcsize(">" + layout)
        return found

    def sized(self):
        """The bytes that come after their number; None where there is no value."""
        (size,) = self.numbers("i")
        if size < 0:
            return None
        self.at += size
        return self.data[self.at - size : self.at]


def _read_array(data):
    reader = _Reader(data)
    dimensions, _, oid = reader.numbers("iiI")
    sizes = [reader.numbers("ii")[0] for _ in range(dimensions)]
    if not sizes:
        return []

    def elements(sizes):
        if len(sizes) > 1:
            return [elements(sizes[1:]) for _ in range(sizes[0])]
        found = (reader.sized() for _ in range(sizes[0]))
        return [None if element is None else _element_of(element, oid) for element in found]

    return elements(sizes)


def _element_of(data, oid):
    if read := READ.get(oid):
        return read(data)
    return data.decode() if oid >= FIRST_OF_PEOPLE and b"\0" not in data else data


def _read_range(data, oid):
    reader = _Reader(data)
    (flags,) = reader.numbers("B")
    if flags & 1:
        return Range(is_empty=True)
    lower = None if flags & 8 else READ[oid](reader.sized())
    upper = None if flags & 16 else READ[oid](reader.sized())
    return Range(lower, upper, ("[" if flags & 2 else "(") + ("]" if flags & 4 else ")"))


def _read_multirange(data, oid):
    reader = _Reader(data)
    (count,) = reader.numbers("i")
    return [_read_range(reader.sized(), oid) for _ in range(count)]


def _read_moment(data):
    """Infinity has no value in Python: it is a text then, as pg8000 has it."""
    (micros,) = struct.unpack(">q", data)
    if abs(micros) >= (1 << 63) - 1:
        return "infinity" if micros > 0 else "-infinity"
    return EPOCH + datetime.timedelta(microseconds=micros)


def _read_moment_in_utc(data):
    found = _read_moment(data)
    return found if isinstance(found, str) else found.replace(tzinfo=UTC)


def _read_date(data):
    (days,) = struct.unpack(">i", data)
    if abs(days) >= (1 << 31) - 1:
        return "infinity" if days > 0 else "-infinity"
    return (EPOCH + datetime.timedelta(days=days)).date()


def _read_time(data):
    (micros,) = struct.unpack(">q", data[:8])
    return (EPOCH + datetime.timedelta(microseconds=micros)).time()


def _read_time_of_zone(data):
    (west,) = struct.unpack(">i", data[8:])
    return _read_time(data).replace(tzinfo=datetime.timezone(datetime.timedelta(seconds=-west)))


def _read_interval(data):
    micros, days, months = struct.unpack(">qii", data)
    return datetime.timedelta(days=days + 30 * months, microseconds=micros)


def _read_decimal(data):
    reader = _Reader(data)
    count, weight, sign, scale = reader.numbers("hhHH")
    if sign not in (0, 0x4000):
        return decimal.Decimal({0xD000: "Infinity", 0xF000: "-Infinity"}.get(sign, "NaN"))
    digits = "".join(f"{digit:04}" for digit in reader.numbers(f"{count}H")) or "0"
    # As many digits behind the point as PostgreSQL says.
    behind = 4 * (count - 1 - weight) if count else 0
    digits = digits + "0" * (scale - behind) if scale > behind else digits[: len(digits) - (behind - scale)] or "0"
    return decimal.Decimal((int(sign == 0x4000), tuple(map(int, digits)), -scale))


def _read_address(data):
    """An address with the length of its network (inet), or a network (cidr)."""
    family, bits, is_network, _ = data[:4]
    address = ipaddress.ip_address(bytes(data[4:]))
    if is_network:
        return ipaddress.ip_network((address, bits))
    return address if bits == address.max_prefixlen else ipaddress.ip_interface((address, bits))


def _read_bits(data):
    (length,) = struct.unpack(">i", data[:4])
    return "".join(f"{byte:08b}" for byte in data[4:])[:length]


def _number(layout):
    return lambda data: struct.unpack(">" + layout, data)[0]


# By the types' numbers.
READ = {
    16: lambda data: data != b"\0",
    17: bytes,
    20: _number("q"),
    21: _number("h"),
    23: _number("i"),
    26: _number("I"),
    700: _number("f"),
    701: _number("d"),
    114: json.loads,
    # The version of the format comes first.
    3802: lambda data: json.loads(data[1:]),
    650: _read_address,
    869: _read_address,
    829: lambda data: data.hex(":"),
    1082: _read_date,
    1083: _read_time,
    1114: _read_moment,
    1184: _read_moment_in_utc,
    1186: _read_interval,
    1266: _read_time_of_zone,
    1560: _read_bits,
    1562: _read_bits,
    1700: _read_decimal,
    2950: lambda data: uuid.UUID(bytes=bytes(data)),
    # name, text, xml, bpchar, varchar
    **dict.fromkeys((19, 25, 142, 1042, 1043), lambda data: data.decode()),
}
