//! Guests that use what the host may, or may not, give them.

use crate::reply;
use query::Query;
use std::fs::{self, File};
use std::io::{self, Seek, Write};
use wasi::config::store;
use wasi::logging::logging::{Level, log};
use wasip2::http::types::ResponseOutparam;

wit_bindgen::generate!({
    path: "../../wit",
    world: "wasmserve:guest/always",
    generate_all,
});

/// `read=PATH`, `write=PATH` with `text`, `list=PATH`, `overfill=PATH`.
pub fn files(out: ResponseOutparam, query: &Query) {
    let result = if let Some(path) = query.text("read") {
        fs::read_to_string(path)
    } else if let Some(path) = query.text("write") {
        let text = query.text("text").unwrap_or_default();
        fs::write(path, text).map(|()| "written\n".to_owned())
    } else if let Some(path) = query.text("overfill") {
        overfill(path)
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

/// Writes more to a file than there is room for, in both ways, and on when there is room again.
fn overfill(path: &str) -> io::Result<String> {
    let mut appended = File::options().append(true).create(true).open(path)?;
    let mut written = File::options().write(true).open(path)?;
    let much = vec![b'x'; 1 << 20];
    let failed = [appended.write_all(&much), written.write_all(&much)].map(|it| it.is_err());
    appended.set_len(0)?;
    written.rewind()?;
    written.write_all(b"written")?;
    appended.write_all(b" appended")?;
    Ok(format!("{failed:?} {}\n", fs::read_to_string(path)?))
}

/// The value of `name`, or all there are.
pub fn settings(out: ResponseOutparam, query: &Query) {
    let text = match query.text("name") {
        Some(name) => format!("{:?}\n", store::get(name).unwrap()),
        None => {
            let mut all = store::get_all().unwrap();
            all.sort();
            format!("{all:?}\n")
        }
    };
    reply::text(out, &text);
}

/// Logs on every level.
pub fn logging(out: ResponseOutparam) {
    let levels = [
        Level::Trace,
        Level::Debug,
        Level::Info,
        Level::Warn,
        Level::Error,
        Level::Critical,
    ];
    for level in levels {
        log(level, "shop", &format!("as {level:?}"));
    }
    log(Level::Info, "", "without context");
    log(Level::Info, "a\nERROR:", "b\nINFO:     forged\x1b[2J");
    log(Level::Info, "", &"ü".repeat(100_000));
    reply::text(out, "logged\n");
}
