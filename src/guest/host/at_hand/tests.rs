//! What is told at once is what the engine tells.

use super::*;
use std::path::{Path, PathBuf};
use wasmtime::component::ResourceTable;
use wasmtime_wasi::filesystem::{FsPerms, WasiFilesystemCtx, WasiFilesystemCtxView};

/// `Folder` is a directory with one of each kind, as a guest has it.
struct Folder {
    path: PathBuf,
    local: LocalDevices,
    table: ResourceTable,
    fd: Fd,
}

impl Folder {
    fn new(name: &str, perms: FsPerms) -> Folder {
        let path = std::env::temp_dir().join(format!("wasmserve-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(path.join("folder")).unwrap();
        std::fs::write(path.join("file"), "some text").unwrap();
        std::fs::write(path.join("folder/inner"), "").unwrap();
        std::os::unix::fs::symlink("file", path.join("link")).unwrap();
        std::os::unix::fs::symlink("/", path.join("out")).unwrap();
        nix::unistd::mkfifo(&path.join("pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        let device = std::fs::metadata(&path).unwrap().dev();
        let mut folder = Folder {
            local: LocalDevices([device].into()),
            table: ResourceTable::new(),
            fd: Resource::new_own(0),
            path,
        };
        let opened = File::open(&folder.path).unwrap();
        let directory = Dir::new(opened, perms, OpenMode::READ, false);
        folder.fd = folder.table.push(Descriptor::Dir(directory)).unwrap();
        folder
    }

    fn directory(&self) -> &Dir {
        match self.table.get(&self.fd) {
            Ok(Descriptor::Dir(directory)) => directory,
            _ => panic!("it is a directory"),
        }
    }

    fn engine<R>(&mut self, ask: impl AsyncFnOnce(WasiFilesystemCtxView<'_>, Fd) -> R) -> R {
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        let fd = Resource::new_borrow(self.fd.rep());
        let view = WasiFilesystemCtxView {
            ctx: &mut WasiFilesystemCtx::default(),
            table: &mut self.table,
        };
        runtime.unwrap().block_on(ask(view, fd))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.path);
    }
}

const NAMES: [&str; 12] = [
    "file",
    "folder",
    "link",
    "out",
    "pipe",
    "nothing",
    ".",
    "..",
    "",
    "folder/inner",
    "/",
    "file/",
];

fn follow() -> [PathFlags; 2] {
    [PathFlags::empty(), PathFlags::SYMLINK_FOLLOW]
}

#[test]
fn files_are_told_of_as_the_engine_tells_of_them() {
    let mut folder = Folder::new("told", FsPerms::ReadWrite);
    let mut at_hand = Vec::new();
    for (name, follow) in NAMES
        .iter()
        .flat_map(|name| follow().map(|follow| (*name, follow)))
    {
        let known = folder.local.seen_at(folder.directory(), name);
        let engine = folder.engine(async |mut view, fd| {
            let same = Resource::new_borrow(fd.rep());
            let stat = view.stat_at(fd, follow, name.to_owned()).await;
            (
                stat,
                view.metadata_hash_at(same, follow, name.to_owned()).await,
            )
        });
        let Some(known) = known else { continue };
        at_hand.push(name);
        match (known, engine) {
            (Ok(seen), (Ok(stat), Ok(hashed))) => {
                assert_eq!(format!("{:?}", told(seen)), format!("{stat:?}"), "{name}");
                let own = hash(seen);
                assert_eq!(
                    (own.lower, own.upper),
                    (hashed.lower, hashed.upper),
                    "{name}"
                );
            }
            (Err(known), (Err(stat), Err(hashed))) => {
                for told in [stat, hashed] {
                    assert_eq!(told.downcast().unwrap(), known, "{name}");
                }
            }
            (known, engine) => panic!("{name} is told of as {known:?} and {engine:?}"),
        }
    }
    at_hand.dedup();
    assert_eq!(at_hand, ["file", "folder", "nothing", "."]);
}

#[test]
fn an_open_file_is_told_of_as_the_engine_tells_of_it() {
    let mut folder = Folder::new("opened", FsPerms::ReadWrite);
    let seen = folder.local.seen(folder.table.get(&folder.fd).unwrap());
    let engine = folder.engine(async |mut view, fd| {
        let same = Resource::new_borrow(fd.rep());
        (view.stat(fd).await, view.metadata_hash(same).await)
    });
    let (seen, (stat, hashed)) = (seen.unwrap(), engine);
    assert_eq!(format!("{:?}", told(seen)), format!("{:?}", stat.unwrap()));
    assert_eq!(hash(seen).lower, hashed.unwrap().lower);
    // What is not on this machine is not asked.
    folder.local = LocalDevices([].into());
    assert!(
        folder
            .local
            .seen(folder.table.get(&folder.fd).unwrap())
            .is_none()
    );
    assert!(folder.local.seen_at(folder.directory(), "file").is_none());
    assert!(folder.local.seen_at(folder.directory(), ".").is_none());
}

/// Opens by all wishes, and compares what is open, and what it may be used for.
fn opens(mut folder: Folder) -> Vec<String> {
    let hows = [
        OpenFlags::empty(),
        OpenFlags::CREATE,
        OpenFlags::TRUNCATE,
        OpenFlags::DIRECTORY,
    ];
    let hows = hows
        .into_iter()
        .chain([OpenFlags::CREATE | OpenFlags::EXCLUSIVE]);
    let (read, write) = (DescriptorFlags::READ, DescriptorFlags::WRITE);
    let flags = [read, write, read | write, DescriptorFlags::empty()];
    let flags = [&flags[..], &[read | DescriptorFlags::REQUESTED_WRITE_SYNC]].concat();
    let mut opened = Vec::new();
    for how in hows {
        for (&flags, follow) in flags
            .iter()
            .flat_map(|flags| follow().map(|follow| (flags, follow)))
        {
            let wish = (follow, how, flags);
            let pipe = folder.local.open_as(folder.directory(), "pipe", wish);
            assert!(pipe.is_none());
            // The engine would wait for the pipe's other end, and what is made is there for the next wish.
            for name in NAMES
                .iter()
                .filter(|name| !["pipe", "nothing"].contains(name))
            {
                let own = folder.local.open_as(folder.directory(), name, wish);
                let Some(own) = own else { continue };
                let engine = folder.engine(async |mut view, fd| {
                    let opened = view.open_at(fd, follow, name.to_string(), how, flags).await;
                    view.table.delete(opened.unwrap()).unwrap()
                });
                let (Descriptor::File(own), Descriptor::File(engine)) = (own, engine) else {
                    panic!("{name} is a file");
                };
                let mode = |file: &File| {
                    let mode = nix::fcntl::fcntl(file, nix::fcntl::FcntlArg::F_GETFL).unwrap();
                    mode & libc::O_ACCMODE
                };
                assert_eq!(own.open_mode, engine.open_mode, "{name} {how:?} {flags:?}");
                assert_eq!(
                    mode(&own.file),
                    mode(&engine.file),
                    "{name} {how:?} {flags:?}"
                );
                assert_eq!(own.perms, engine.perms);
                let [own, engine] = [own, engine].map(|it| it.file.metadata().unwrap().ino());
                assert_eq!(own, engine, "{name}");
                opened.push(format!(
                    "{name} {how:?} {flags:?} {}",
                    follow != PathFlags::empty()
                ));
            }
        }
    }
    assert_eq!(
        std::fs::read(folder.path.join("file")).unwrap(),
        b"some text"
    );
    assert!(!Path::new(&folder.path).join("nothing").exists());
    opened
}

#[test]
fn files_are_opened_as_the_engine_opens_them() {
    let opened = opens(Folder::new("open", FsPerms::ReadWrite));
    // A system that does not know what is in memory (Linux before 5.12) opens nothing at once.
    if opened.is_empty() {
        return;
    }
    let starts = |name: &str| opened.iter().filter(|it| it.starts_with(name)).count();
    // Following a link may have to note when it was read, and that is not at hand.
    assert!(
        starts("file ") == 12 && starts("folder/inner ") == 12,
        "{opened:?}"
    );
    assert_eq!(24 + starts("link "), opened.len(), "{opened:?}");
}

#[test]
fn what_may_not_be_written_to_is_opened_to_be_read() {
    let opened = opens(Folder::new("read", FsPerms::ReadOnly));
    let is_read = |it: &String| !it.contains("CREATE") && !it.contains("WRITE");
    assert!(opened.iter().all(is_read), "{opened:?}");
}
