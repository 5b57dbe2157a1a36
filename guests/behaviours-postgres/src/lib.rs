//! What guests do with a database, for the tests. The query has the database's name (`db`) and statements (`sql`),
//! which are run one after the other over one connection; the answer has what the last of them gave, or `error …`.
//! The first segment of the path says what comes after that.

use query::Query;
use spin::postgres::postgres::{
    Connection, DbValue, Error, Interval, ParameterValue, QueryError, RangeBoundKind,
};
use wasip2::http::types::{
    Fields, IncomingRequest, OutgoingBody, OutgoingResponse, ResponseOutparam,
};

wit_bindgen::generate!({
    path: "../../wit",
    world: "wasmserve:guest/with-postgres",
    generate_all,
});

wasip2::http::proxy::export!(Behaviours);

struct Behaviours;

impl wasip2::exports::http::incoming_handler::Guest for Behaviours {
    fn handle(request: IncomingRequest, out: ResponseOutparam) {
        let target = request.path_with_query().unwrap_or_default();
        let (behaviour, query) = query::parse(&target);
        let said = asked(behaviour, &query).unwrap_or_else(|error| match behaviour {
            "trap" => panic!("trapped by {}", told(&error)),
            _ => told(&error),
        });
        answer(out, &said);
    }
}

fn asked(behaviour: &str, query: &Query) -> Result<String, Error> {
    let name = query.plain("db").unwrap_or("app".to_owned());
    let connection = Connection::open(&name)?;
    if behaviour == "types" {
        return types(&connection);
    }
    let statements: Vec<String> = query
        .all("sql")
        .map(|text| String::from_utf8(query::unescaped(text)).expect("UTF-8"))
        .collect();
    let (last, first) = statements.split_last().expect("a statement");
    for statement in first {
        connection.execute(statement, &[])?;
    }
    let given: Vec<ParameterValue> = query
        .all("p")
        .map(|text| String::from_utf8(query::unescaped(text)).expect("UTF-8"))
        .map(ParameterValue::Str)
        .collect();
    let said = match behaviour {
        "execute" => connection.execute(last, &given)?.to_string(),
        _ => {
            let set = connection.query(last, &given)?;
            let names: Vec<_> = set.columns.iter().map(|it| it.name.as_str()).collect();
            let rows = set.rows.iter().map(|row| {
                let values: Vec<_> = row.iter().map(shown).collect();
                values.join(",")
            });
            format!(
                "{}: {}",
                names.join(","),
                rows.collect::<Vec<_>>().join("; ")
            )
        }
    };
    match behaviour {
        "trap" => panic!("trapped with an open transaction: {said}"),
        "second" => {
            let second = Connection::open(&name)?;
            let set = second.query(last, &given)?;
            Ok(format!("{said} and {} rows", set.rows.len()))
        }
        _ => Ok(said),
    }
}

fn shown(value: &DbValue) -> String {
    match value {
        DbValue::DbNull => "null".to_owned(),
        DbValue::Str(text) if text.len() > 100 => format!("{} bytes", text.len()),
        DbValue::Str(text) | DbValue::Decimal(text) | DbValue::Uuid(text) => text.clone(),
        DbValue::Int32(number) => number.to_string(),
        DbValue::Int64(number) => number.to_string(),
        DbValue::Boolean(is) => is.to_string(),
        other => format!("{other:?}"),
    }
}

fn told(error: &Error) -> String {
    match error {
        Error::QueryFailed(QueryError::DbError(error)) => {
            let extras: Vec<String> = error
                .extras
                .iter()
                .map(|(name, value)| format!(" {name}={value}"))
                .collect();
            format!("error {} {}{}", error.code, error.message, extras.concat())
        }
        other => format!("error {other:?}"),
    }
}

/// Sends a value of each type, and tells those that do not come back as they went.
fn types(connection: &Connection) -> Result<String, Error> {
    use ParameterValue as P;
    let text = |text: &str| text.to_owned();
    let (from, to) = (RangeBoundKind::Inclusive, RangeBoundKind::Exclusive);
    let interval = Interval {
        micros: -5_000_001,
        days: 40,
        months: -7,
    };
    let all = [
        (P::Boolean(true), "boolean", "Boolean(true)"),
        (P::Int8(-8), "smallint", "Int16(-8)"),
        (P::Int16(-16), "smallint", "Int16(-16)"),
        (P::Int32(i32::MIN), "integer", "Int32(-2147483648)"),
        (P::Int64(i64::MAX), "bigint", "Int64(9223372036854775807)"),
        (P::Int32(7), "bigint", "Int64(7)"),
        (P::Floating32(1.5), "real", "Floating32(1.5)"),
        (P::Floating64(0.1), "double precision", "Floating64(0.1)"),
        (
            P::Floating64(f64::NEG_INFINITY),
            "double precision",
            "Floating64(-inf)",
        ),
        (P::Str(text("ä\"'\\")), "text", r#"Str("ä\"'\\")"#),
        (P::Str(text("12")), "integer", "Int32(12)"),
        (
            P::Str(text("{1,NULL}")),
            "integer[]",
            "ArrayInt32([Some(1), None])",
        ),
        (P::Binary(vec![0, 255]), "bytea", "Binary([0, 255])"),
        (P::Date((2024, 2, 29)), "date", "Date((2024, 2, 29))"),
        (P::Date((-43, 3, 15)), "date", "Date((-43, 3, 15))"),
        (
            P::Time((23, 59, 58, 123_456_000)),
            "time",
            "Time((23, 59, 58, 123456000))",
        ),
        (
            P::Datetime((1999, 12, 31, 23, 59, 59, 1_000)),
            "timestamp",
            "Datetime((1999, 12, 31, 23, 59, 59, 1000))",
        ),
        (
            P::Datetime((2024, 7, 1, 12, 0, 0, 0)),
            "timestamptz",
            "Datetime((2024, 7, 1, 12, 0, 0, 0))",
        ),
        (
            P::Timestamp(86_401),
            "timestamptz",
            "Datetime((1970, 1, 2, 0, 0, 1, 0))",
        ),
        (
            P::Uuid(text("01234567-89ab-cdef-0123-456789abcdef")),
            "uuid",
            r#"Uuid("01234567-89ab-cdef-0123-456789abcdef")"#,
        ),
        (
            P::Jsonb(b"{\"a\": [1]}".to_vec()),
            "jsonb",
            "Jsonb([123, 34, 97, 34, 58, 32, 91, 49, 93, 125])",
        ),
        (
            P::Decimal(text("-12345678901234567890.0123400")),
            "numeric",
            r#"Decimal("-12345678901234567890.0123400")"#,
        ),
        (P::Decimal(text("10000")), "numeric", r#"Decimal("10000")"#),
        (
            P::Decimal(text("0.00001")),
            "numeric",
            r#"Decimal("0.00001")"#,
        ),
        (
            P::RangeInt32((Some((1, from)), Some((9, to)))),
            "int4range",
            "RangeInt32((Some((1, RangeBoundKind::Inclusive)), Some((9, RangeBoundKind::Exclusive))))",
        ),
        (
            P::RangeInt64((None, Some((9, to)))),
            "int8range",
            "RangeInt64((None, Some((9, RangeBoundKind::Exclusive))))",
        ),
        (
            P::RangeDecimal((Some((text("1.5"), to)), None)),
            "numrange",
            "RangeDecimal((Some((\"1.5\", RangeBoundKind::Exclusive)), None))",
        ),
        (
            P::ArrayInt32(vec![Some(1), None]),
            "integer[]",
            "ArrayInt32([Some(1), None])",
        ),
        (P::ArrayInt64(vec![]), "bigint[]", "ArrayInt64([])"),
        (
            P::ArrayDecimal(vec![Some(text("1.10"))]),
            "numeric[]",
            r#"ArrayDecimal([Some("1.10")])"#,
        ),
        (
            P::ArrayStr(vec![Some(text("a,\"b\\")), None, Some(text(""))]),
            "varchar[]",
            r#"ArrayStr([Some("a,\"b\\"), None, Some("")])"#,
        ),
        (
            P::Interval(interval),
            "interval",
            "Interval(Interval { micros: -5000001, days: 40, months: -7 })",
        ),
        (P::DbNull, "integer", "DbNull"),
    ];
    let mut wrong = Vec::new();
    let mut right = 0;
    for (value, kind, expected) in all {
        let statement = format!("select $1::{kind}");
        let found = match connection.query(&statement, &[value]) {
            Ok(set) => format!("{:?}", set.rows[0][0]).replace("DbValue::", ""),
            Err(error) => told(&error),
        };
        match found == expected {
            true => right += 1,
            false => wrong.push(format!("{kind}: {found} instead of {expected}")),
        }
    }
    Ok(format!("{right} right; wrong: {wrong:?}"))
}

fn answer(out: ResponseOutparam, text: &str) {
    let response = OutgoingResponse::new(Fields::new());
    let body = response.body().expect("the only body");
    ResponseOutparam::set(out, Ok(response));
    let stream = body.write().expect("the only stream");
    for piece in text.as_bytes().chunks(4096) {
        stream
            .blocking_write_and_flush(piece)
            .expect("the client reads");
    }
    drop(stream);
    OutgoingBody::finish(body, None).expect("a whole body");
}
