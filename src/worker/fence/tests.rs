//! Behind a fence. Only the thread that closes it stands there, so that each test has one of its own.

use super::Fence;
use memmap2::MmapMut;
use std::fs::{self, File};
use std::io::ErrorKind;
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::Command;

/// A fresh directory of this test.
fn directory(name: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("wasmserve-fence-{name}-{}", std::process::id()));
    let _ = fs::remove_dir_all(&path);
    fs::create_dir_all(&path).unwrap();
    path
}

/// Tries something in a thread that is fenced in.
fn behind(fence: Fence, attempt: impl FnOnce() + Send + 'static) {
    let fenced = move || match fence.close().unwrap()[..] {
        [] => attempt(),
        ref missing => eprintln!("not tried: this kernel has no {missing:?}"),
    };
    std::thread::spawn(fenced).join().unwrap();
}

#[test]
fn nothing_is_opened_but_what_was_named() {
    let home = directory("files");
    for name in ["read", "write", "other"] {
        fs::create_dir(home.join(name)).unwrap();
        fs::write(home.join(name).join("file"), name).unwrap();
    }
    let open = File::open(home.join("other/file")).unwrap();
    let fence = Fence {
        readable: vec![home.join("read")],
        writable: vec![home.join("write")],
        connects: false,
    };
    let within = home.clone();
    behind(fence, move || {
        let denied = |result: std::io::Result<()>| {
            assert_eq!(result.unwrap_err().kind(), ErrorKind::PermissionDenied);
        };
        assert_eq!(fs::read(within.join("read/file")).unwrap(), b"read");
        denied(fs::write(within.join("read/file"), "new"));
        denied(fs::remove_file(within.join("read/file")));
        fs::write(within.join("write/file"), "new").unwrap();
        fs::rename(within.join("write/file"), within.join("write/moved")).unwrap();
        assert_eq!(fs::read(within.join("write/moved")).unwrap(), b"new");
        denied(fs::read(within.join("other/file")).map(drop));
        denied(fs::write(within.join("other/new"), "new"));
        denied(fs::read("/etc/passwd").map(drop));
        denied(fs::read_dir("/").map(drop));
        // What was open is open.
        assert_eq!(open.metadata().unwrap().len(), 5);
    });
    fs::remove_dir_all(home).unwrap();
}

#[test]
fn nothing_is_started_and_nothing_becomes_code() {
    behind(Fence::default(), || {
        assert!(Command::new("/bin/true").spawn().is_err());
        std::thread::spawn(|| {}).join().unwrap();
        let memory = MmapMut::map_anon(4096).unwrap();
        assert_eq!(
            memory.make_exec().unwrap_err().raw_os_error(),
            Some(libc::ENOSYS)
        );
    });
}

#[test]
fn nobody_is_reached_where_nobody_may_be() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    behind(Fence::default(), move || {
        assert!(TcpStream::connect(address).is_err());
        assert!(UnixStream::pair().is_ok());
    });
    let fence = Fence {
        connects: true,
        ..Fence::default()
    };
    behind(fence, move || {
        assert!(TcpStream::connect(address).is_ok());
        assert!(TcpListener::bind("127.0.0.1:0").is_err());
        assert!(File::open("/etc/hosts").is_ok());
    });
}
