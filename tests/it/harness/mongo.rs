//! A server that speaks MongoDB's protocol, as there is no package of MongoDB itself: NX-27017, in the environment that
//! has what runs applications natively. It keeps documents in SQLite, here in memory.

use super::{eventually, root};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};

pub struct Mongo {
    child: Child,
    pub port: u16,
}

impl Mongo {
    pub fn start() -> Mongo {
        // Nothing is left of the listener: the server takes its port.
        let port = TcpListener::bind(("127.0.0.1", 0)).and_then(|free| free.local_addr());
        let port = port.unwrap().port();
        let child = Command::new(root().join("target/python/uvicorn/bin/nx-27017"))
            .args(["--db", "memory", "--log-file", "/dev/null", "-p"])
            .arg(port.to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("NX-27017 is there; run guests/python/toolchain");
        let mongo = Mongo { child, port };
        eventually("NX-27017 listens", || {
            TcpStream::connect(("127.0.0.1", port)).is_ok()
        });
        mongo
    }
}

impl Drop for Mongo {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
