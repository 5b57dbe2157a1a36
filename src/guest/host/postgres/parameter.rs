//! Parameters are sent as text with the type that the guest gave them. Where the guest's type leaves open what the
//! statement needs (texts, times), the server decides.

use super::arrays::{written_array, written_range, written_texts};
use super::calendar;
use super::interface::wit::{Interval, ParameterValue};
use bytes::BytesMut;
use std::error::Error;
use tokio_postgres::types::{Format, IsNull, ToSql, Type, to_sql_checked};

/// A `Parameter` is what is sent for one.
#[derive(Debug)]
pub enum Parameter {
    Text(String),
    Bytes(Vec<u8>),
    Null,
}

/// Makes parameters and their types of the guest's.
pub fn parameters(all: Vec<ParameterValue>) -> Result<Vec<(Parameter, Type)>, String> {
    all.into_iter().map(parameter).collect()
}

fn parameter(value: ParameterValue) -> Result<(Parameter, Type), String> {
    use ParameterValue as P;
    let (text, kind) = match value {
        P::Boolean(it) => (it.to_string(), Type::BOOL),
        P::Int8(it) => (it.to_string(), Type::INT2),
        P::Int16(it) => (it.to_string(), Type::INT2),
        P::Int32(it) => (it.to_string(), Type::INT4),
        P::Int64(it) => (it.to_string(), Type::INT8),
        P::Floating32(it) => (it.to_string(), Type::FLOAT4),
        P::Floating64(it) => (it.to_string(), Type::FLOAT8),
        P::Str(it) => (it, Type::UNKNOWN),
        P::Binary(it) => return Ok((Parameter::Bytes(it), Type::BYTEA)),
        P::Date(it) => (calendar::written(it), Type::DATE),
        P::Time((hour, minute, second, nanos)) => {
            let micros = nanos / 1000;
            let text = format!("{hour:02}:{minute:02}:{second:02}.{micros:06}");
            (text, Type::TIME)
        }
        P::Datetime((year, month, day, hour, minute, second, nanos)) => {
            let (date, time) = ((year, month, day), (hour, minute, second, nanos));
            (calendar::written_with_time(date, time), Type::UNKNOWN)
        }
        P::Timestamp(seconds) => (written_seconds(seconds)?, Type::UNKNOWN),
        P::Uuid(it) => (it, Type::UUID),
        P::Jsonb(it) => match String::from_utf8(it) {
            Ok(text) => (text, Type::JSONB),
            Err(_) => return Err("a parameter of JSON is no UTF-8".to_owned()),
        },
        P::Decimal(it) => (it, Type::NUMERIC),
        P::RangeInt32(it) => (written_range(&it), Type::INT4_RANGE),
        P::RangeInt64(it) => (written_range(&it), Type::INT8_RANGE),
        P::RangeDecimal(it) => (written_range(&it), Type::NUM_RANGE),
        P::ArrayInt32(it) => (written_array(&it), Type::INT4_ARRAY),
        P::ArrayInt64(it) => (written_array(&it), Type::INT8_ARRAY),
        P::ArrayDecimal(it) => (written_array(&it), Type::NUMERIC_ARRAY),
        P::ArrayStr(it) => (written_texts(&it), Type::UNKNOWN),
        P::Interval(it) => (written_interval(it), Type::INTERVAL),
        P::DbNull => return Ok((Parameter::Null, Type::UNKNOWN)),
    };
    // The server would say so in the middle of the messages.
    match text.contains('\0') {
        true => Err("a parameter has a byte 0, which no text of PostgreSQL's may have".to_owned()),
        false => Ok((Parameter::Text(text), kind)),
    }
}

fn written_seconds(seconds: i64) -> Result<String, String> {
    let since_2000 = seconds
        .checked_sub(calendar::DAYS_TO_2000 * 86_400)
        .and_then(|seconds| seconds.checked_mul(1_000_000));
    let since_2000 = since_2000.ok_or("a parameter is a time too far away".to_owned())?;
    let (date, time) = calendar::date_and_time(since_2000);
    Ok(calendar::written_with_time(date, time))
}

fn written_interval(
    Interval {
        micros,
        days,
        months,
    }: Interval,
) -> String {
    format!("{months} mons {days} days {micros} microseconds")
}

impl ToSql for Parameter {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        match self {
            Parameter::Text(text) => out.extend_from_slice(text.as_bytes()),
            Parameter::Bytes(bytes) => out.extend_from_slice(bytes),
            Parameter::Null => return Ok(IsNull::Yes),
        }
        Ok(IsNull::No)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    fn encode_format(&self, _: &Type) -> Format {
        match self {
            Parameter::Text(_) | Parameter::Null => Format::Text,
            Parameter::Bytes(_) => Format::Binary,
        }
    }

    to_sql_checked!();
}
