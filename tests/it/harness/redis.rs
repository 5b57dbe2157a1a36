//! A Redis server of a test's own, on a socket in a directory of its own.

use super::eventually;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

pub struct Redis {
    child: Option<Child>,
    home: PathBuf,
}

impl Redis {
    pub fn start() -> Redis {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let nth = COUNT.fetch_add(1, Ordering::Relaxed);
        // A socket's path is short.
        let name = format!("wasmserve-redis-{}-{nth}", std::process::id());
        let home = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&home).unwrap();
        let mut redis = Redis { child: None, home };
        redis.begin();
        redis
    }

    /// Starts it, again where it was stopped, with what it had then.
    pub fn begin(&mut self) {
        // The server's executable by one of its other names: Debian has it in redis-tools, which installs
        // no service.
        let child = Command::new("redis-check-rdb")
            .arg0("redis-server")
            .args(["--port", "0", "--unixsocket"])
            .arg(self.socket())
            .args(["--appendonly", "yes", "--dir"])
            .arg(&self.home)
            .stdout(Stdio::null())
            .spawn()
            .expect("redis-check-rdb can be started; run tests/packages");
        self.child = Some(child);
        eventually("Redis listens", || {
            UnixStream::connect(self.socket()).is_ok()
        });
    }

    pub fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    fn socket(&self) -> PathBuf {
        self.home.join("socket")
    }

    /// For `--keyvalue`.
    pub fn url(&self) -> String {
        format!("redis+unix://{}", self.socket().display())
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.stop();
        let _ = std::fs::remove_dir_all(&self.home);
    }
}
