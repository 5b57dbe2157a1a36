//! Guests that use what the host may, or may not, give them.

use crate::reply;
use query::Query;
use std::fs;
use wasip2::http::types::ResponseOutparam;

/// `read=PATH`, `write=PATH` with `text`, `list=PATH`.
pub fn files(out: ResponseOutparam, query: &Query) {
    let result = if let Some(path) = query.text("read") {
        fs::read_to_string(path)
    } else if let Some(path) = query.text("write") {
        let text = query.text("text").unwrap_or_default();
        fs::write(path, text).map(|()| "written\n".to_owned())
    } else {
        let path = query.text("list").unwrap_or("/");
        fs::read_dir(path).map(|entries| {
            let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
            let mut names: Vec<String> = names.collect();
            names.sort();
            names.join("\n") + "\n"
        })
    };
    reply::text(
        out,
        &result.unwrap_or_else(|error| format!("error {error:?}\n")),
    );
}
