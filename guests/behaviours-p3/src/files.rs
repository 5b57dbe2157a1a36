//! Guests that lock databases as SQLite does where there are no locks of files, by making a directory, that set the
//! times of files, and that list directories.

use crate::reply;
use query::Query;
use std::time::Duration;
use wasip3::clocks::system_clock::Instant;
use wasip3::filesystem::preopens;
use wasip3::filesystem::types::{NewTimestamp, PathFlags};
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

/// Sets the times of what the first directory has at `path`, or of what a link there leads to (`follow`).
pub async fn touch(query: &Query<'_>) -> Response {
    let (directory, _) = preopens::get_directories().remove(0);
    let follow = query.text("follow").is_some();
    let flags = if follow {
        PathFlags::SYMLINK_FOLLOW
    } else {
        PathFlags::empty()
    };
    let time = || {
        NewTimestamp::Timestamp(Instant {
            seconds: 1_000_000_000,
            nanoseconds: 5,
        })
    };
    let path = query.text("path").unwrap_or("data.txt").to_owned();
    let set = directory.set_times_at(flags, path, time(), time()).await;
    reply::text(format!("{set:?}\n"))
}

/// Begins to list the first directory `n` times, reads `read` entries of each listing, and holds them all for `ms`. Says how
/// many entries there were.
pub async fn list(query: &Query<'_>) -> Response {
    let (directory, _) = preopens::get_directories().remove(0);
    let (mut listings, mut seen) = (Vec::new(), 0);
    for _ in 0..query.number("n", 1) {
        let (mut entries, ended) = directory.read_directory();
        let mut read = 0;
        while read < query.number("read", 0) && entries.next().await.is_some() {
            read += 1;
        }
        seen += read;
        match read < query.number("read", 0) {
            true => ended.await.expect("a directory"),
            false => listings.push((entries, ended)),
        }
    }
    println!("holds {} listings", listings.len());
    reply::sleep(Duration::from_millis(query.number("ms", 0))).await;
    reply::text(format!("{seen} entries\n"))
}
