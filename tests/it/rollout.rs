//! The rollout of deploy/kubernetes, played on one machine: servers behind a balancer that follows their readiness,
//! and clients throughout.

use crate::harness::{
    Connection, HELLO, Server, Unprivileged, Watched, eventually, finished, root, wasmserve,
};
use nix::sys::signal::Signal;
use std::fs::{self, read_to_string};
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// How often readiness is asked for, and how often a client asks.
const PERIOD: Duration = Duration::from_millis(20);

/// Passes connections on to whoever is ready, as a Service does.
struct Balancer {
    address: SocketAddr,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    /// Where each serves, and where it says whether it is ready.
    pods: Mutex<Vec<(SocketAddr, SocketAddr)>>,
    ready: Mutex<Vec<SocketAddr>>,
    next: AtomicUsize,
}

impl Balancer {
    fn start() -> Balancer {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(State::default());
        let probes = state.clone();
        thread::spawn(move || {
            loop {
                let pods = probes.pods.lock().unwrap().clone();
                let ready = pods.into_iter().filter(|(_, admin)| is_ready(*admin));
                let ready = ready.map(|(served, _)| served).collect();
                *probes.ready.lock().unwrap() = ready;
                thread::sleep(PERIOD);
            }
        });
        let passes = state.clone();
        thread::spawn(move || {
            for client in listener.incoming() {
                let (client, passes) = (client.unwrap(), passes.clone());
                thread::spawn(move || passes.pass_on(client));
            }
        });
        Balancer { address, state }
    }

    /// Takes a server in, and waits until it is asked.
    fn add(&self, server: &Watched) {
        let pod = (server.server.address, server.admin);
        self.state.pods.lock().unwrap().push(pod);
        eventually("it is ready", || self.asks(server));
    }

    fn asks(&self, server: &Watched) -> bool {
        let ready = self.state.ready.lock().unwrap();
        ready.contains(&server.server.address)
    }
}

impl State {
    fn pass_on(&self, client: TcpStream) -> Option<()> {
        let pod = {
            let ready = self.ready.lock().unwrap();
            *ready.get(self.next.fetch_add(1, SeqCst) % ready.len().max(1))?
        };
        let pod = TcpStream::connect(pod).ok()?;
        let (to_pod, to_client) = (pod.try_clone().ok()?, client.try_clone().ok()?);
        thread::spawn(move || copy(client, to_pod));
        copy(pod, to_client);
        Some(())
    }
}

fn copy(mut from: TcpStream, mut to: TcpStream) {
    let _ = io::copy(&mut from, &mut to);
    let _ = to.shutdown(Shutdown::Write);
}

/// Asks as a kubelet does: whatever is no 200 is a no.
fn is_ready(admin: SocketAddr) -> bool {
    let ask = || -> io::Result<bool> {
        let mut stream = TcpStream::connect_timeout(&admin, Duration::from_secs(2))?;
        stream.set_read_timeout(Some(Duration::from_secs(2)))?;
        stream.write_all(b"GET /readyz HTTP/1.1\r\nHost: pod\r\nConnection: close\r\n\r\n")?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        Ok(answer.starts_with(b"HTTP/1.1 200"))
    };
    ask().unwrap_or(false)
}

/// Asks until it is told to end: how many answers came, and how many did not.
fn client(address: SocketAddr, keeps: bool, done: &AtomicBool) -> (u32, u32) {
    let (mut answered, mut lost) = (0, 0);
    let mut kept: Option<Connection> = None;
    while !done.load(SeqCst) {
        let is_kept = kept.is_some();
        let mut connection = kept.take().unwrap_or_else(|| Connection::open(address));
        match connection.get("/").response() {
            Ok(answer) if answer.status == 200 => {
                answered += 1;
                let last = answer.header("connection") == Some("close");
                kept = Some(connection).filter(|_| keeps && !last);
            }
            // Whoever keeps a connection that was closed meanwhile opens another (RFC 9112 section 9.3.1).
            Err(_) if is_kept => {}
            _ => lost += 1,
        }
        thread::sleep(PERIOD);
    }
    (answered, lost)
}

/// A pod: as the manifest has it, with less patience.
fn pod() -> Watched {
    Server::component(HELLO)
        .workers(1)
        .arg("--shutdown-delay=10s")
        .arg("--no-access-log")
        .watched()
}

#[test]
fn a_rollout_behind_a_balancer_that_follows_readiness_loses_no_request() {
    let (mut old, other) = (pod(), pod());
    let balancer = Balancer::start();
    balancer.add(&old);
    balancer.add(&other);
    let done = Arc::new(AtomicBool::new(false));
    let clients: Vec<_> = [false, false, true, true]
        .into_iter()
        .map(|keeps| {
            let (address, done) = (balancer.address, done.clone());
            thread::spawn(move || client(address, keeps, &done))
        })
        .collect();
    let new = pod();
    balancer.add(&new);
    old.server.signal(Signal::SIGTERM);
    eventually("it is asked no more", || !balancer.asks(&old));
    assert_eq!(old.server.wait().code(), Some(0));
    assert!(balancer.asks(&new) && balancer.asks(&other));
    done.store(true, SeqCst);
    let counts = clients.into_iter().map(|client| client.join().unwrap());
    let (answered, lost) = counts.fold((0, 0), |sum, it| (sum.0 + it.0, sum.1 + it.1));
    assert_eq!(lost, 0, "of {answered}");
    assert!(answered > 100, "{answered}");
}

/// Clients of a load balancer keep their connections: each is told before it is closed.
#[test]
fn after_a_shutdown_delay_a_kept_connection_is_told_that_its_next_answer_is_the_last() {
    let mut server = Server::component(HELLO).arg("--shutdown-delay=1s").start();
    let mut kept = server.connect();
    assert_eq!(kept.get("/").response().unwrap().header("connection"), None);
    server.signal(Signal::SIGTERM);
    eventually("an answer says that it is the last", || {
        let answer = kept.get("/").response().unwrap();
        assert_eq!(answer.status, 200);
        answer.header("connection") == Some("close")
    });
    assert_eq!(server.wait().code(), Some(0));
}

/// The value of `name: 60`, or of `--name=60s`.
fn seconds(manifest: &str, name: &str) -> u64 {
    let (_, rest) = manifest.split_once(name).unwrap();
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().unwrap()
}

#[test]
fn the_manifest_has_options_that_there_are_and_time_to_stop() {
    let path = root().join("deploy/kubernetes/base/deployment.yaml");
    let manifest = read_to_string(path).unwrap();
    let lines = manifest.lines().map(str::trim);
    let options =
        lines.filter_map(|line| line.strip_prefix("- ").filter(|it| it.starts_with("--")));
    let options: Vec<&str> = options.collect();
    assert!(options.len() >= 5, "{options:?}");
    let mut check = wasmserve();
    check.args(["check", HELLO]).args(&options);
    let checked = finished(check);
    assert!(checked.status.success(), "{checked:?}");
    let stops = seconds(&manifest, "--shutdown-delay=")
        + seconds(&manifest, "--timeout-graceful-shutdown=");
    assert!(seconds(&manifest, "terminationGracePeriodSeconds: ") > stops);
    for path in ["path: /readyz", "path: /livez", "port: admin"] {
        assert!(manifest.contains(path), "{path}");
    }
}

/// A volume for a pod belongs to root, and everybody may write to it; the pod's user keeps what is compiled in a
/// directory of its own there.
#[test]
fn what_a_pod_compiles_is_kept_in_its_volume() {
    let place = Unprivileged::new("pod-volume");
    let volume = place.0.join("cache");
    fs::create_dir(&volume).unwrap();
    fs::set_permissions(&volume, fs::Permissions::from_mode(0o777)).unwrap();
    let component = place.0.join("app.wasm");
    fs::copy(root().join(HELLO), &component).unwrap();
    for way in ["volume", "artifact"] {
        let path = root().join(format!("deploy/kubernetes/{way}/deployment.yaml"));
        let manifest = read_to_string(path).unwrap();
        let (_, named) = manifest.split_once("--cache-dir=/cache").unwrap();
        let named = named.split(['\n', ']']).next().unwrap();
        let cache = format!("--cache-dir={}{named}", volume.display());
        for said in ["Compiled ", "Found the compiled code"] {
            let mut command = place.command();
            command
                .args(["--port=0", "--no-admin", &cache])
                .arg(&component);
            let server = Server::command(command).start();
            server.wait_for(said);
        }
        fs::remove_dir_all(format!("{}{named}", volume.display())).unwrap();
    }
}

/// `kubectl exec … wasmserve status`, as docs/kubernetes.md has it.
#[test]
fn in_a_pod_commands_find_the_server_by_the_directory_that_the_manifest_mounts() {
    let manifest = read_to_string(root().join("deploy/kubernetes/base/deployment.yaml")).unwrap();
    let words: Vec<&str> = manifest.split_whitespace().collect();
    for said in ["name: XDG_RUNTIME_DIR value: /run", "mountPath: /run"] {
        assert!(words.join(" ").contains(said), "{said}");
    }
    let place = Unprivileged::new("pod-run");
    let mounted = place.0.join("run");
    fs::create_dir(&mounted).unwrap();
    fs::set_permissions(&mounted, fs::Permissions::from_mode(0o777)).unwrap();
    let component = place.0.join("app.wat");
    fs::copy(root().join(HELLO), &component).unwrap();
    let command = || {
        let mut command = place.command();
        command.env("XDG_RUNTIME_DIR", &mounted);
        command
    };
    let mut serving = command();
    serving.args(["--port=0", "--workers=1"]).arg(&component);
    let server = Server::command(serving).start();
    for (asked, says) in [("status", "serving, ready"), ("reload", "is served")] {
        let mut order = command();
        order.arg(asked);
        let output = finished(order);
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success() && said.contains(says), "{output:?}");
    }
    server.stop();
}
