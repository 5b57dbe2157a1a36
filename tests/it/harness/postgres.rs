//! A PostgreSQL server of a test's own, Debian's, in a directory of its own. It speaks TLS, too.

use super::certificates::Pair;
use super::{eventually, finished};
use nix::unistd::geteuid;
use std::fs::File;
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

pub const PASSWORD: &str = "secret";

/// Debian's user without rights.
const NOBODY: u32 = 65534;

pub struct Postgres {
    child: Option<Child>,
    home: PathBuf,
    pub port: u16,
}

impl Postgres {
    /// Starts one with a role `tester`, which has to give the password `secret`.
    pub fn start(pair: &Pair) -> Postgres {
        // Nothing is left of the listener: the server takes its port.
        let port = TcpListener::bind(("127.0.0.1", 0)).and_then(|free| free.local_addr());
        let port = port.unwrap().port();
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let nth = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("wasmserve-postgres-{}-{nth}", std::process::id());
        let home = std::env::temp_dir().join(name);
        let _ = std::fs::remove_dir_all(&home);
        std::fs::create_dir_all(&home).unwrap();
        std::fs::write(home.join("password"), PASSWORD).unwrap();
        for (from, to) in [(&pair.certificate, "server.pem"), (&pair.key, "server.key")] {
            std::fs::copy(from, home.join(to)).unwrap();
        }
        let private = PermissionsExt::from_mode(0o600);
        std::fs::set_permissions(home.join("server.key"), private).unwrap();
        if geteuid().is_root() {
            for owned in ["", "password", "server.pem", "server.key"] {
                chown(home.join(owned), Some(NOBODY), Some(NOBODY)).unwrap();
            }
        }
        let mut init = program("initdb", &home);
        init.args("-A scram-sha-256 -U tester --no-sync --pwfile".split(' '))
            .arg(home.join("password"))
            .arg("-D")
            .arg(home.join("data"));
        let made = finished(init);
        assert!(made.status.success(), "{made:?}");
        let mut postgres = Postgres {
            child: None,
            home,
            port,
        };
        postgres.begin();
        postgres
    }

    /// Starts it, again where it was stopped, with what it had then.
    pub fn begin(&mut self) {
        let home = &self.home;
        let mut serve = program("postgres", home);
        serve
            .arg("-D")
            .arg(home.join("data"))
            .args(["-p", &self.port.to_string(), "-h", "127.0.0.1", "-k"])
            .arg(home)
            .args(["-c", "ssl=on", "-c", "fsync=off", "-c"])
            .arg(format!("ssl_cert_file={}/server.pem", home.display()))
            .arg("-c")
            .arg(format!("ssl_key_file={}/server.key", home.display()))
            .stdout(Stdio::null())
            .stderr(File::create(home.join("log")).unwrap());
        self.child = Some(serve.spawn().unwrap());
        eventually("PostgreSQL answers", || {
            finished(self.psql("select 1")).status.success()
        });
    }

    /// SIGQUIT has the server end its own processes, too.
    pub fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let pid = nix::unistd::Pid::from_raw(child.id().cast_signed());
            let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGQUIT);
            let _ = child.wait();
        }
    }

    /// For `--postgres`: how it is reached over the network.
    pub fn url(&self) -> String {
        let port = self.port;
        format!("postgres://tester:{PASSWORD}@localhost:{port}/postgres")
    }

    /// How it is reached by its socket.
    pub fn socket_url(&self) -> String {
        let home = self.home.display().to_string().replace('/', "%2F");
        let port = self.port;
        format!("postgres://tester:{PASSWORD}@{home}:{port}/postgres")
    }

    /// What it has written into its log since it was started.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.home.join("log")).unwrap()
    }

    fn psql(&self, statement: &str) -> Command {
        let mut psql = Command::new("psql");
        psql.env("PGPASSWORD", PASSWORD)
            .env("PGCONNECT_TIMEOUT", "10")
            .args(["-h", "127.0.0.1", "-U", "tester", "-d", "postgres", "-At"])
            .args(["-p", &self.port.to_string(), "-c", statement]);
        psql
    }

    /// What a statement gives, a line for each row.
    pub fn ask(&self, statement: &str) -> String {
        let output = finished(self.psql(statement));
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }
}

/// One of its programs, which Debian keeps off the path. None of them runs as root.
fn program(name: &str, home: &Path) -> Command {
    let versions = std::fs::read_dir("/usr/lib/postgresql");
    let versions = versions.expect("PostgreSQL is there; run tests/packages");
    let path = versions.map(|version| version.unwrap().path().join("bin").join(name));
    let path = path.max().expect("PostgreSQL is there; run tests/packages");
    let mut command = Command::new(path);
    command.current_dir(home);
    if geteuid().is_root() {
        command.uid(NOBODY).gid(NOBODY);
    }
    command
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.stop();
        let _ = std::fs::remove_dir_all(&self.home);
    }
}
