//! Values come in the binary format of their types, and are given to guests as the interface has them.

use super::arrays::{array, range};
use super::calendar;
use super::interface::wit::{DbDataType, DbValue, Interval};
use super::numeric;
use super::room::Room;
use std::error::Error;
use tokio_postgres::Row;
use tokio_postgres::types::{FromSql, Kind, Type};

/// Names the type of a column.
pub fn data_type(kind: &Type) -> DbDataType {
    match *kind {
        Type::BOOL => DbDataType::Boolean,
        Type::CHAR => DbDataType::Int8,
        Type::INT2 => DbDataType::Int16,
        Type::INT4 => DbDataType::Int32,
        Type::INT8 | Type::OID => DbDataType::Int64,
        Type::FLOAT4 => DbDataType::Floating32,
        Type::FLOAT8 => DbDataType::Floating64,
        Type::TEXT | Type::VARCHAR | Type::BPCHAR | Type::NAME => DbDataType::Str,
        Type::BYTEA => DbDataType::Binary,
        Type::DATE => DbDataType::Date,
        Type::TIME => DbDataType::Time,
        Type::TIMESTAMP => DbDataType::Datetime,
        Type::UUID => DbDataType::Uuid,
        Type::JSONB => DbDataType::Jsonb,
        Type::NUMERIC => DbDataType::Decimal,
        Type::INT4_RANGE => DbDataType::RangeInt32,
        Type::INT8_RANGE => DbDataType::RangeInt64,
        Type::NUM_RANGE => DbDataType::RangeDecimal,
        Type::INT4_ARRAY => DbDataType::ArrayInt32,
        Type::INT8_ARRAY => DbDataType::ArrayInt64,
        Type::NUMERIC_ARRAY => DbDataType::ArrayDecimal,
        Type::TEXT_ARRAY | Type::VARCHAR_ARRAY | Type::BPCHAR_ARRAY | Type::NAME_ARRAY => {
            DbDataType::ArrayStr
        }
        Type::INTERVAL => DbDataType::Interval,
        // Which times are of a time zone is lost otherwise.
        _ => DbDataType::Other(kind.name().to_owned()),
    }
}

/// Reads a row. What there is no room for is not read, and the room is exceeded then.
pub fn values(row: &Row, room: &Room) -> Result<Vec<DbValue>, tokio_postgres::Error> {
    let columns = row.columns().iter().enumerate();
    let values = columns.map(|(nth, column)| {
        let Some(Raw(bytes)) = row.try_get::<_, Option<Raw>>(nth)? else {
            return Ok(DbValue::DbNull);
        };
        let value = value(column.type_(), bytes, room);
        Ok(value.unwrap_or_else(|| DbValue::Unsupported(bytes.to_vec())))
    });
    values.collect()
}

/// `Raw` is what the server sent.
struct Raw<'a>(&'a [u8]);

impl<'a> FromSql<'a> for Raw<'a> {
    fn from_sql(_: &Type, bytes: &'a [u8]) -> Result<Raw<'a>, Box<dyn Error + Sync + Send>> {
        Ok(Raw(bytes))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

/// Reads a value; none where the interface has no place for it.
fn value(kind: &Type, bytes: &[u8], room: &Room) -> Option<DbValue> {
    let decimal = |bytes: &[u8]| numeric::decimal(bytes, room);
    Some(match *kind {
        Type::BOOL => DbValue::Boolean(bytes != [0]),
        Type::CHAR => DbValue::Int8(i8::from_be_bytes(bytes.try_into().ok()?)),
        Type::INT2 => DbValue::Int16(i16::from_be_bytes(bytes.try_into().ok()?)),
        Type::INT4 => DbValue::Int32(int4(bytes)?),
        Type::INT8 => DbValue::Int64(int8(bytes)?),
        Type::OID => DbValue::Int64(u32::from_be_bytes(bytes.try_into().ok()?).into()),
        Type::FLOAT4 => DbValue::Floating32(f32::from_be_bytes(bytes.try_into().ok()?)),
        Type::FLOAT8 => DbValue::Floating64(f64::from_be_bytes(bytes.try_into().ok()?)),
        Type::BYTEA => DbValue::Binary(bytes.to_vec()),
        Type::DATE => match int4(bytes)? {
            // Infinity, of either sign.
            i32::MIN | i32::MAX => return None,
            days => DbValue::Date(calendar::date(i64::from(days) + calendar::DAYS_TO_2000)),
        },
        Type::TIME => DbValue::Time(calendar::time(int8(bytes)?)),
        Type::TIMESTAMP | Type::TIMESTAMPTZ => match int8(bytes)? {
            i64::MIN | i64::MAX => return None,
            micros => {
                let ((year, month, day), (hour, minute, second, nanos)) =
                    calendar::date_and_time(micros);
                DbValue::Datetime((year, month, day, hour, minute, second, nanos))
            }
        },
        Type::UUID => DbValue::Uuid(uuid(bytes.try_into().ok()?)),
        Type::JSON => DbValue::Jsonb(bytes.to_vec()),
        // The version of the format comes first.
        Type::JSONB => DbValue::Jsonb(bytes.strip_prefix(&[1])?.to_vec()),
        Type::NUMERIC => DbValue::Decimal(decimal(bytes)?),
        Type::INT4_RANGE => DbValue::RangeInt32(range(bytes, int4)?),
        Type::INT8_RANGE => DbValue::RangeInt64(range(bytes, int8)?),
        Type::NUM_RANGE => DbValue::RangeDecimal(range(bytes, decimal)?),
        Type::INT4_ARRAY => DbValue::ArrayInt32(array(bytes, room, int4)?),
        Type::INT8_ARRAY => DbValue::ArrayInt64(array(bytes, room, int8)?),
        Type::NUMERIC_ARRAY => DbValue::ArrayDecimal(array(bytes, room, decimal)?),
        Type::TEXT_ARRAY | Type::VARCHAR_ARRAY | Type::BPCHAR_ARRAY | Type::NAME_ARRAY => {
            DbValue::ArrayStr(array(bytes, room, text)?)
        }
        Type::INTERVAL => DbValue::Interval(interval(bytes)?),
        _ if is_text(kind) => DbValue::Str(text(bytes)?),
        _ => return None,
    })
}

/// Says whether what is sent for a type is the text that people write.
fn is_text(kind: &Type) -> bool {
    match kind.kind() {
        Kind::Enum(_) => true,
        Kind::Domain(of) => is_text(of),
        _ => [
            "text", "varchar", "bpchar", "name", "xml", "unknown", "citext",
        ]
        .contains(&kind.name()),
    }
}

fn int4(bytes: &[u8]) -> Option<i32> {
    bytes.try_into().ok().map(i32::from_be_bytes)
}

fn int8(bytes: &[u8]) -> Option<i64> {
    bytes.try_into().ok().map(i64::from_be_bytes)
}

fn text(bytes: &[u8]) -> Option<String> {
    String::from_utf8(bytes.to_vec()).ok()
}

fn uuid(bytes: [u8; 16]) -> String {
    let hex = format!("{:032x}", u128::from_be_bytes(bytes));
    let parts = [
        &hex[..8],
        &hex[8..12],
        &hex[12..16],
        &hex[16..20],
        &hex[20..],
    ];
    parts.join("-")
}

fn interval(bytes: &[u8]) -> Option<Interval> {
    let (micros, rest) = bytes.split_first_chunk()?;
    let (days, months) = rest.split_first_chunk()?;
    Some(Interval {
        micros: i64::from_be_bytes(*micros),
        days: i32::from_be_bytes(*days),
        months: int4(months)?,
    })
}
