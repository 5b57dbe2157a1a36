//! What guests do with a key-value store, for the tests: the first segment of the path says what, with
//! `bucket`, `key`, `value` and `delta` from the query. Answers with what the host said, or with
//! `error …`.

use query::Query;
use std::fmt::Debug;
use wasi::keyvalue::store::{Bucket, Error, open};
use wasi::keyvalue::{atomics, batch};
use wasip2::http::types::{
    Fields, IncomingRequest, OutgoingBody, OutgoingResponse, ResponseOutparam,
};

wit_bindgen::generate!({
    path: "../../wit",
    world: "wasmserve:guest/with-keyvalue",
    generate_all,
});

wasip2::http::proxy::export!(Behaviours);

struct Behaviours;

impl wasip2::exports::http::incoming_handler::Guest for Behaviours {
    fn handle(request: IncomingRequest, out: ResponseOutparam) {
        let target = request.path_with_query().unwrap_or_default();
        let (behaviour, query) = query::parse(&target);
        let said = ask(behaviour, &query).unwrap_or_else(|error| format!("error {error:?}"));
        if query.text("trap").is_some() {
            panic!("heard {said}");
        }
        answer(out, &said);
    }
}

fn ask(behaviour: &str, query: &Query) -> Result<String, Error> {
    let bucket = open(query.text("bucket").unwrap_or("default"))?;
    let key = query.text("key").unwrap_or("key");
    let value = query.text("value").unwrap_or_default().as_bytes();
    match behaviour {
        "get" => said(bucket.get(key)?.as_deref().map(String::from_utf8_lossy)),
        "set" => said(bucket.set(key, value)?),
        "set-large" => {
            let length = usize::try_from(query.number("bytes", 1 << 20)).expect("it fits");
            said(bucket.set(key, &vec![b'v'; length])?)
        }
        "get-large" => {
            let keys = vec![key.to_owned(); query.number("times", 1) as usize];
            let pairs = batch::get_many(&bucket, &keys)?.into_iter().flatten();
            said(pairs.map(|(_, value)| value.len()).sum::<usize>())
        }
        "delete" => said(bucket.delete(key)?),
        "exists" => said(bucket.exists(key)?),
        "increment" => said(atomics::increment(&bucket, key, query.number("delta", 1))?),
        "list" => {
            let mut keys = all_keys(&bucket)?;
            keys.sort();
            said(keys)
        }
        "fill" => {
            let count = query.number("count", 10);
            let pairs: Vec<_> = (0..count)
                .map(|number| (format!("{key}{number}"), number.to_string().into_bytes()))
                .collect();
            said(batch::set_many(&bucket, &pairs)?)
        }
        "get-many" => {
            let keys: Vec<String> = query.all("key").map(str::to_owned).collect();
            let pairs = batch::get_many(&bucket, &keys)?;
            let text = |(key, value): (String, Vec<u8>)| (key, String::from_utf8(value).unwrap());
            said(
                pairs
                    .into_iter()
                    .map(|pair| pair.map(text))
                    .collect::<Vec<_>>(),
            )
        }
        "delete-many" => {
            let keys: Vec<String> = query.all("key").map(str::to_owned).collect();
            said(batch::delete_many(&bucket, &keys)?)
        }
        _ => said("ok"),
    }
}

fn all_keys(bucket: &Bucket) -> Result<Vec<String>, Error> {
    let mut keys = Vec::new();
    let mut cursor = None;
    loop {
        let page = bucket.list_keys(cursor)?;
        keys.extend(page.keys);
        cursor = page.cursor;
        if cursor.is_none() {
            return Ok(keys);
        }
    }
}

fn said(what: impl Debug) -> Result<String, Error> {
    Ok(format!("{what:?}"))
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
