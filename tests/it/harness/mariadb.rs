//! A MariaDB server of a test's own, Debian's, in a directory of its own. It speaks TLS, too.

use super::certificates::Pair;
use super::{eventually, finished};
use nix::unistd::geteuid;
use std::fs::File;
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

/// Debian's user without rights.
const NOBODY: u32 = 65534;

/// What it does without: it starts sooner, and its files are small.
const SMALL: [&str; 2] = ["--innodb-log-file-size=4M", "--innodb-buffer-pool-size=16M"];

pub struct MariaDb {
    child: Child,
    home: PathBuf,
    pub port: u16,
}

impl MariaDb {
    /// Starts one with a database `shop` and a user `tester`, who has to give the password `secret`.
    pub fn start(pair: &Pair) -> MariaDb {
        // Nothing is left of the listener: the server takes its port.
        let port = TcpListener::bind(("127.0.0.1", 0)).and_then(|free| free.local_addr());
        let port = port.unwrap().port();
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let nth = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("wasmserve-mariadb-{}-{nth}", std::process::id());
        let home = std::env::temp_dir().join(name);
        let _ = std::fs::remove_dir_all(&home);
        std::fs::create_dir_all(&home).unwrap();
        for (from, to) in [(&pair.certificate, "server.pem"), (&pair.key, "server.key")] {
            std::fs::copy(from, home.join(to)).unwrap();
        }
        let private = PermissionsExt::from_mode(0o600);
        std::fs::set_permissions(home.join("server.key"), private).unwrap();
        if geteuid().is_root() {
            for owned in ["", "server.pem", "server.key"] {
                chown(home.join(owned), Some(NOBODY), Some(NOBODY)).unwrap();
            }
        }
        let at = |name: &str| home.join(name).display().to_string();
        let mut init = unprivileged("mariadb-install-db");
        init.args(["--no-defaults", "--skip-test-db"])
            .arg("--auth-root-authentication-method=normal")
            .args(SMALL)
            .arg(format!("--datadir={}", at("data")));
        let made = finished(init);
        assert!(made.status.success(), "{made:?}; run tests/packages");
        // Debian has it where only administrators look for programs.
        let mut serve = unprivileged("/usr/sbin/mariadbd");
        serve
            .args(["--no-defaults", "--bind-address=127.0.0.1"])
            .args(["--skip-name-resolve", "--innodb-flush-log-at-trx-commit=0"])
            .args(SMALL)
            .arg(format!("--port={port}"))
            .arg(format!("--datadir={}", at("data")))
            .arg(format!("--socket={}", at("socket")))
            .arg(format!("--pid-file={}", at("pid")))
            .arg(format!("--ssl-cert={}", at("server.pem")))
            .arg(format!("--ssl-key={}", at("server.key")))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(home.join("log")).unwrap());
        let child = serve.spawn().expect("MariaDB is there; run tests/packages");
        let mariadb = MariaDb { child, home, port };
        eventually("MariaDB answers", || {
            finished(mariadb.client("select 1")).status.success()
        });
        mariadb.ask("create database shop");
        mariadb.ask("create user tester@'127.0.0.1' identified by 'secret'");
        mariadb.ask("grant all on shop.* to tester@'127.0.0.1'");
        mariadb
    }

    /// Its own client, as the administrator by the server's socket.
    fn client(&self, statement: &str) -> Command {
        let mut client = Command::new("mariadb");
        client
            .args(["--no-defaults", "--batch", "--skip-column-names", "-u"])
            .arg("root")
            .arg(format!("--socket={}", self.home.join("socket").display()))
            .args(["-e", statement]);
        client
    }

    /// What a statement gives, a line for each row.
    pub fn ask(&self, statement: &str) -> String {
        let output = finished(self.client(statement));
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }
}

/// A program that does not run as root.
fn unprivileged(name: &str) -> Command {
    let mut command = Command::new(name);
    if geteuid().is_root() {
        command.uid(NOBODY).gid(NOBODY);
    }
    command
}

impl Drop for MariaDb {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.home);
    }
}
