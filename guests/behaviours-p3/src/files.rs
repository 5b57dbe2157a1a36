//! Guests that lock databases as SQLite does where there are no locks of files: by making a directory.

use crate::reply;
use query::Query;
use std::time::Duration;
use wasip3::filesystem::preopens;
use wasip3::http::types::Response;

/// Makes the directory `path` of the first directory that it is given, keeps it for `ms`, and removes it. Says what
/// came of each.
pub async fn lock(query: &Query<'_>) -> Response {
    let path = query.text("path").expect("a path").to_owned();
    let (directory, _) = preopens::get_directories().remove(0);
    if let Err(error) = directory.create_directory_at(path.clone()).await {
        return reply::text(format!("not made: {error:?}\n"));
    }
    println!("holds {path}");
    reply::sleep(Duration::from_millis(query.number("ms", 0))).await;
    match directory.remove_directory_at(path).await {
        Ok(()) => reply::text("made and removed\n"),
        Err(error) => reply::text(format!("not removed: {error:?}\n")),
    }
}
