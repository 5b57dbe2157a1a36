//! These attempts are made inside the sandbox: each fails where a process is kept from it, and succeeds where it was
//! granted.

mod files;
mod network;
mod processes;
mod rights;

use crate::sandbox::{Role, Sandbox};
use crate::sys::raw::call;
use crate::sys::socket::Listening;
use std::fs::{self, File};
use std::io::{self, ErrorKind::PermissionDenied};
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, channel};

/// Directories that anybody may use, with a file in each, and a component.
pub fn furnish(home: &Path) {
    let open = |path: &Path, mode| {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    };
    fs::create_dir_all(home).unwrap();
    open(home, 0o777);
    for name in ["read", "write", "other"] {
        fs::create_dir(home.join(name)).unwrap();
        fs::write(home.join(name).join("file"), name).unwrap();
        open(&home.join(name), 0o777);
        open(&home.join(name).join("file"), 0o666);
    }
    fs::create_dir(home.join("cache")).unwrap();
    open(&home.join("cache"), 0o777);
    fs::write(home.join("app.wasm"), "component").unwrap();
    open(&home.join("app.wasm"), 0o644);
}

/// `Before` has what was there before the sandbox was entered.
struct Before {
    home: PathBuf,
    listener: TcpListener,
    address: SocketAddr,
    unix_listener: UnixListener,
    file: File,
    outside: Outside,
}

type Order = Box<dyn FnOnce() -> String + Send>;

/// An `Outside` thread is not confined, and does what it is told.
struct Outside {
    orders: Sender<Order>,
    answers: Receiver<String>,
}

impl Outside {
    fn new() -> Outside {
        let (orders, taken) = channel::<Order>();
        let (told, answers) = channel();
        std::thread::spawn(move || {
            for order in taken {
                let _ = told.send(order());
            }
        });
        Outside { orders, answers }
    }

    fn does(&self, order: impl FnOnce() -> String + Send + 'static) -> String {
        self.orders.send(Box::new(order)).unwrap();
        self.answers.recv().unwrap()
    }

    /// Finds a line of what the kernel tells of the thread that asks (proc_pid_status(5)).
    fn status(&self, name: &'static str) -> String {
        let thread = nix::unistd::gettid();
        self.does(move || {
            let status = fs::read_to_string(format!("/proc/self/task/{thread}/status")).unwrap();
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            line.unwrap_or_else(|| panic!("no {name}"))
                .trim()
                .to_owned()
        })
    }
}

pub fn make(name: &str, sandbox: &Sandbox, role: Role, home: &Path) {
    sandbox.begin().unwrap();
    let before = prepare(home);
    let missing = sandbox.enter(role).unwrap();
    if !missing.is_empty() {
        eprintln!("not tried: this kernel has no {missing:?}");
        return;
    }
    let attempt: fn(&Sandbox, Role, &Before) = match name {
        "it_opens_nothing_but_what_was_named" => files::opens,
        "it_opens_nothing_to_write_but_what_was_named" => files::writes,
        "it_writes_no_code_but_into_what_is_open" => files::writes_no_code,
        "it_signals_nobody_else" => processes::signals,
        "it_starts_no_process" => processes::starts,
        "it_forks" => processes::forks,
        "it_makes_no_memory_executable" => processes::makes_code,
        "it_changes_no_listener" => network::changes_listeners,
        "it_writes_to_the_end_of_the_log_alone" => files::keeps_log,
        "it_changes_no_modes_and_lends_no_rights" => files::changes_no_mode,
        "it_passes_nothing_on" => network::passes_nothing_on,
        "it_connects_to_nobody_unless_that_was_granted" => network::connects,
        "it_has_no_system_call_that_serving_does_not_take" => rights::calls,
        "it_gains_no_rights_and_has_none_of_root" => rights::has,
        "it_gains_no_rights" => rights::gains,
        "its_memory_is_seen_by_nobody_and_left_in_no_file" => rights::shows_memory,
        "it_has_no_terminal" => rights::has_terminal,
        _ => panic!("there is no attempt {name}"),
    };
    attempt(sandbox, role, &before);
}

fn prepare(home: &Path) -> Before {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let socket = home.join(format!("socket-{}", std::process::id()));
    let unix_listener = UnixListener::bind(&socket).unwrap();
    // The originals are closed here, as they are in a worker.
    let moved = [Listening::Tcp(listener), Listening::Unix(unix_listener)]
        .map(|listening| listening.moved_up().unwrap());
    let [Listening::Tcp(listener), Listening::Unix(unix_listener)] = moved else {
        panic!("a listener became another");
    };
    Before {
        home: home.to_owned(),
        listener,
        address,
        unix_listener,
        file: File::open(home.join("other/file")).unwrap(),
        outside: Outside::new(),
    }
}

fn denied<T>(result: io::Result<T>, what: &str) {
    match result {
        Ok(_) => panic!("{what} succeeds"),
        Err(error) => assert_eq!(error.kind(), PermissionDenied, "{what}: {error}"),
    }
}

/// There is no such call, or not with these arguments.
fn absent(number: i64, arguments: &[usize], what: &str) {
    assert_eq!(call(number, arguments), Err(libc::ENOSYS), "{what}");
}

fn raw(fd: impl AsFd) -> usize {
    fd.as_fd().as_raw_fd() as usize
}
