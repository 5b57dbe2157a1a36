//! A Redis server of a test's own, on a socket in a directory of its own, or at ports where one asks for them.

use super::certificates::Pair;
use super::eventually;
use std::net::TcpListener;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

pub struct Redis {
    child: Option<Child>,
    home: PathBuf,
    network: Vec<String>,
}

impl Redis {
    pub fn start() -> Redis {
        Redis::with(["--port", "0"].map(str::to_owned).to_vec())
    }

    /// Starts one that has a port, and one for TLS.
    pub fn at_ports(pair: &Pair) -> (Redis, [u16; 2]) {
        let ports = [(); 2].map(|()| TcpListener::bind(("127.0.0.1", 0)).unwrap());
        let ports = ports.map(|port| port.local_addr().unwrap().port());
        let [plain, secure] = ports.map(|port| port.to_string());
        let network = [
            "--port",
            &plain,
            "--tls-port",
            &secure,
            "--tls-cert-file",
            &pair.certificate,
            "--tls-key-file",
            &pair.key,
            "--tls-auth-clients",
            "no",
            // It insists on one, and asks nobody for a certificate.
            "--tls-ca-cert-file",
            &pair.certificate,
        ];
        (Redis::with(network.map(str::to_owned).to_vec()), ports)
    }

    fn with(network: Vec<String>) -> Redis {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let nth = COUNT.fetch_add(1, Ordering::Relaxed);
        // A socket's path is short.
        let name = format!("wasmserve-redis-{}-{nth}", std::process::id());
        let home = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&home).unwrap();
        let mut redis = Redis {
            child: None,
            home,
            network,
        };
        redis.begin();
        redis
    }

    /// Starts it, again where it was stopped, with what it had then.
    pub fn begin(&mut self) {
        // The server's executable by one of its other names: Debian has it in redis-tools, which installs
        // no service.
        let child = Command::new("redis-check-rdb")
            .arg0("redis-server")
            .args(&self.network)
            .arg("--unixsocket")
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
