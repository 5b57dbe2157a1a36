//! Guests that fail because of what stands in files.

use crate::failures;
use query::Query;
use wasip2::clocks::wall_clock::Datetime;
use wasip2::filesystem::preopens::get_directories;
use wasip2::filesystem::types::{
    Descriptor, DescriptorFlags, DescriptorStat, DirectoryEntry, NewTimestamp, OpenFlags, PathFlags,
};
use wasip2::io::streams::StreamError;

/// Traps in functions that depend on all that can be known of the file `path` in the first directory, and on what can
/// be known of that directory. With `write` something is written there, too.
pub fn trap_by_file(query: &Query) {
    let directories = get_directories();
    let (directory, name) = directories.first().expect("a directory");
    let path = query.text("path").unwrap_or("data.txt");
    let file = open(directory, path, OpenFlags::empty(), DescriptorFlags::READ);
    let content = [read(&file), streamed(&file)].concat();
    let mut known = format!("{name} {content:?}");
    known += &format!("{:?} {:?}", file.get_flags(), file.get_type());
    known += &stat(file.stat().expect("a file"));
    let hash = directory
        .metadata_hash_at(PathFlags::empty(), path)
        .expect("a file");
    known += &format!("{} {}", hash.lower, hash.upper);
    known += &stat(directory.stat_at(PathFlags::empty(), path).expect("a file"));
    known += &format!("{:?}", directory.readlink_at("link"));
    known += &format!("{:?}", directory.readlink_at(path).expect_err("no link"));
    known += &format!("{}", file.is_same_object(directory));
    known += &listing(directory).concat();
    if query.text("write").is_some() {
        known += &written(directory);
    }
    let sum = known.bytes().fold(7_u64, |sum, byte| {
        sum.wrapping_mul(31).wrapping_add(u64::from(byte))
    });
    eprintln!("fell by {sum} of {known}");
    failures::fall_by([sum % 4, (sum >> 8) % 4, (sum >> 16) % 4]);
}

/// Reads the file `path` of the first directory, and tells how long it is.
pub fn length(query: &Query) -> usize {
    let (directory, _) = &get_directories()[0];
    let path = query.text("path").unwrap_or("data.txt");
    let file = open(directory, path, OpenFlags::empty(), DescriptorFlags::READ);
    read(&file).len()
}

/// Reads the file `path` of the first directory to its end by one stream, and on when it has grown.
pub fn grow(query: &Query) -> String {
    let (directory, _) = &get_directories()[0];
    let path = query.text("path").unwrap_or("data.txt");
    let flags = DescriptorFlags::READ | DescriptorFlags::WRITE;
    let file = open(directory, path, OpenFlags::empty(), flags);
    let stream = file.read_via_stream(0).expect("it can be read");
    let mut text = String::new();
    for _ in 0..2 {
        while let Ok(bytes) = stream.blocking_read(3) {
            text += &String::from_utf8(bytes).expect("text");
        }
        let end = file.append_via_stream().expect("it can be written");
        end.blocking_write_and_flush(b" grown").expect("room");
    }
    text
}

/// Sets the times of what the first directory has at `path`, or of what a link there leads to (`follow`).
pub fn touch(query: &Query) -> String {
    let (directory, _) = &get_directories()[0];
    let follow = query.text("follow").is_some();
    let flags = if follow {
        PathFlags::SYMLINK_FOLLOW
    } else {
        PathFlags::empty()
    };
    let time = || {
        NewTimestamp::Timestamp(Datetime {
            seconds: 1_000_000_000,
            nanoseconds: 5,
        })
    };
    let path = query.text("path").unwrap_or("data.txt");
    format!(
        "{:?}\n",
        directory.set_times_at(flags, path, time(), time())
    )
}

/// Opens `path` of the first directory `n` times; how often that went well.
pub fn insist(query: &Query) -> String {
    let (directory, _) = &get_directories()[0];
    let path = query.text("path").unwrap_or("data.txt");
    let open = |_: &u64| {
        let (open, flags) = (OpenFlags::empty(), DescriptorFlags::READ);
        directory
            .open_at(PathFlags::empty(), path, open, flags)
            .is_ok()
    };
    let opened = (0..query.number("n", 1)).filter(open).count();
    format!("opened {opened}\n")
}

fn open(directory: &Descriptor, path: &str, how: OpenFlags, flags: DescriptorFlags) -> Descriptor {
    let opened = directory.open_at(PathFlags::SYMLINK_FOLLOW, path, how, flags);
    opened.expect("it can be opened")
}

fn read(file: &Descriptor) -> Vec<u8> {
    let mut content = Vec::new();
    loop {
        let (bytes, end) = file
            .read(1 << 16, content.len() as u64)
            .expect("it can be read");
        content.extend(bytes);
        if end {
            return content;
        }
    }
}

/// Reads a file from a stream, by waiting, and by asking again.
fn streamed(file: &Descriptor) -> Vec<u8> {
    let stream = file.read_via_stream(1).expect("it can be read");
    let mut content = stream.blocking_read(3).unwrap_or_default();
    loop {
        let pollable = stream.subscribe();
        match stream.read(5) {
            Ok(bytes) if bytes.is_empty() => pollable.block(),
            Ok(bytes) => content.extend(bytes),
            Err(StreamError::Closed) => return content,
            Err(error) => panic!("{error:?}"),
        }
    }
}

fn stat(stat: DescriptorStat) -> String {
    let DescriptorStat {
        type_,
        link_count,
        size,
        data_modification_timestamp: modified,
        ..
    } = stat;
    format!("{type_:?} {link_count} {size} {modified:?}")
}

fn listing(directory: &Descriptor) -> Vec<String> {
    let listing = directory.read_directory().expect("a directory");
    let mut entries = Vec::new();
    while let Some(DirectoryEntry { type_, name }) =
        listing.read_directory_entry().expect("an entry")
    {
        entries.push(format!("{type_:?} {name}"));
    }
    entries
}

/// Writes into a directory in all ways.
fn written(directory: &Descriptor) -> String {
    let flags = DescriptorFlags::READ | DescriptorFlags::WRITE;
    let how = OpenFlags::CREATE | OpenFlags::TRUNCATE;
    let file = open(directory, "new", how, flags);
    let count = file.write(b"written", 0).expect("room");
    let stream = file.write_via_stream(7).expect("it can be written");
    stream.blocking_write_and_flush(b" and more").expect("room");
    drop(stream);
    let stream = file.append_via_stream().expect("it can be written");
    let room = stream.check_write().expect("room");
    stream.write(b", at the end").expect("room");
    stream.flush().expect("it is written");
    stream.subscribe().block();
    let after = stream.check_write();
    drop(stream);
    directory.create_directory_at("folder").expect("it is new");
    let again = directory.create_directory_at("folder");
    directory
        .rename_at("new", directory, "folder/old")
        .expect("it is there");
    directory
        .symlink_at("folder/old", "newer")
        .expect("it is new");
    let gone = directory.unlink_file_at("new");
    let content = String::from_utf8(read(&file)).expect("text");
    format!("{count} {room} {after:?} {again:?} {gone:?} {content}")
}
