//! What guests do with a database of SQLite, for the tests. The query has the database's name (`db`) and statements
//! (`sql`), which are run one after the other over one connection, the last with the parameters `p`; the answer has
//! what the last of them gave, or `error …`. The first segment of the path says what comes after that.

use query::Query;
use spin::sqlite::sqlite::{Connection, Error, Value};
use wasip2::http::types::{
    Fields, IncomingRequest, OutgoingBody, OutgoingResponse, ResponseOutparam,
};

wit_bindgen::generate!({
    path: "../../wit",
    world: "wasmserve:guest/with-sqlite",
    generate_all,
});

wasip2::http::proxy::export!(Behaviours);

struct Behaviours;

impl wasip2::exports::http::incoming_handler::Guest for Behaviours {
    fn handle(request: IncomingRequest, out: ResponseOutparam) {
        let target = request.path_with_query().unwrap_or_default();
        let (behaviour, query) = query::parse(&target);
        let said = asked(behaviour, &query).unwrap_or_else(|error| match behaviour {
            "trap" => panic!("trapped by {error:?}"),
            _ => format!("error {error:?}"),
        });
        answer(out, &said);
    }
}

fn asked(behaviour: &str, query: &Query) -> Result<String, Error> {
    let plain = |text: &str| String::from_utf8(query::unescaped(text)).expect("UTF-8");
    let connection = Connection::open(&query.plain("db").unwrap_or("app".to_owned()))?;
    if behaviour == "types" {
        let all = [
            Value::Integer(i64::MIN),
            Value::Real(0.1),
            Value::Text("ä'".to_owned()),
            Value::Blob(vec![0, 255]),
            Value::Null,
        ];
        let result = connection.execute("select ?, ?, ?, ?, ?", &all)?;
        return Ok(format!("{:?}", result.rows[0].values).replace("Value::", ""));
    }
    let statements: Vec<String> = query.all("sql").map(plain).collect();
    let (last, first) = statements.split_last().expect("a statement");
    for statement in first {
        connection.execute(statement, &[])?;
    }
    let given: Vec<Value> = query.all("p").map(plain).map(Value::Text).collect();
    let result = connection.execute(last, &given)?;
    let rows = result.rows.iter().map(|row| {
        let values: Vec<_> = row.values.iter().map(shown).collect();
        values.join(",")
    });
    let said = format!(
        "{}: {}",
        result.columns.join(","),
        rows.collect::<Vec<_>>().join("; ")
    );
    match behaviour {
        "changes" => Ok(format!(
            "{} {}",
            connection.changes(),
            connection.last_insert_rowid()
        )),
        "trap" => panic!(
            "trapped with an open transaction: {said} {} {}",
            connection.changes(),
            connection.last_insert_rowid()
        ),
        _ => Ok(said),
    }
}

fn shown(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Text(text) if text.len() > 100 => format!("{} bytes", text.len()),
        Value::Text(text) => text.clone(),
        Value::Integer(number) => number.to_string(),
        other => format!("{other:?}"),
    }
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
