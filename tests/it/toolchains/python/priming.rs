//! The lifespan of a Python application runs once for each start, and each request finds what it left and nothing of
//! another request's.

use crate::harness::{Server, finished, get, wasmserve};
use crate::toolchains::{place, with_toolchains};
use nix::sys::signal::Signal;
use std::collections::HashSet;
use std::process::Command;

const APPLICATION: &str = r#"
import asyncio, os, random, sqlite3, sys, time

requests, kept = 0, {"starts": 0}

async def start(state):
    mode = os.environ.get("MODE", "")
    if "fail" in mode:
        raise RuntimeError("the database is away")
    if "open" in mode:
        kept["file"] = open("/data/open.txt", "w")
    if "note" in mode:
        with open("/data/starts.txt", "a") as file:
            file.write("started\n")
        connection = sqlite3.connect("/data/test.db")
        with connection:
            connection.execute("CREATE TABLE IF NOT EXISTS t (n)")
        connection.close()
    await asyncio.sleep(0.01)
    kept["starts"] += 1
    state["drawn"] = random.random()
    kept["background"] = asyncio.create_task(asyncio.sleep(3600))
    print("the model is loaded", file=sys.stderr)

def answer(path, state):
    if path == "/stored":
        with sqlite3.connect("/data/test.db") as connection:
            connection.execute("INSERT INTO t VALUES (1)")
            return connection.execute("SELECT count(*) FROM t").fetchone()[0]
    print("asked for", path)
    return f"{requests} {kept['starts']} {state['drawn']} {random.random()} {time.monotonic()}"

async def app(scope, receive, send):
    global requests
    if scope["type"] == "lifespan":
        await receive()
        try:
            await start(scope["state"])
        except Exception as error:
            await send({"type": "lifespan.startup.failed", "message": str(error)})
            raise
        await send({"type": "lifespan.startup.complete"})
        await receive()
        return
    requests += 1
    body = str(answer(scope["path"], scope["state"])).encode()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body})
"#;

struct Application {
    component: String,
    data: String,
}

impl Application {
    fn built() -> Application {
        let at = place("python-priming");
        std::fs::write(at.join("main.py"), APPLICATION).unwrap();
        let mut command = with_toolchains();
        command
            .current_dir(&at)
            .args(["build", "--no-warm-up", "main.py", "-o", "app.wasm"]);
        let output = finished(command);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}");
        let component = at.join("app.wasm").display().to_string();
        // Compiled once, without a start.
        let mut command = wasmserve();
        command.args([&component, "--port", "0", "--no-prime"]);
        drop(Server::command(command).compiles().start());
        let data = place("python-priming-data");
        Application {
            component,
            data: data.display().to_string(),
        }
    }

    fn command(&self, options: &[&str]) -> Command {
        let mut command = wasmserve();
        command
            .args([&self.component, "--port", "0", "--dir-rw"])
            .arg(format!("{}::/data", self.data))
            .args(options);
        command
    }

    fn starts(&self) -> usize {
        let noted = std::fs::read_to_string(format!("{}/starts.txt", self.data));
        noted.unwrap().lines().count()
    }
}

/// Asks often: the answers without their last two numbers, and those numbers.
fn asked(server: &Server) -> (HashSet<String>, Vec<String>, Vec<f64>) {
    let answers = (0..30).map(|_| get(server.address, "/").text());
    let mut same = HashSet::new();
    let (mut drawn, mut times) = (Vec::new(), Vec::new());
    for answer in answers {
        let words: Vec<&str> = answer.split(' ').collect();
        assert_eq!(words.len(), 5, "{answer}: {}", server.printed());
        same.insert(words[..3].join(" "));
        drawn.push(words[3].to_owned());
        times.push(words[4].parse().unwrap());
    }
    (same, drawn, times)
}

#[test]
fn the_lifespan_runs_once_and_each_request_begins_after_it() {
    let application = Application::built();
    let server = Server::command(application.command(&[
        "--workers",
        "3",
        "--env",
        "MODE=note",
        "--prime",
        "/",
    ]))
    .start();
    let (same, drawn, times) = asked(&server);
    // One request has primed it, and no other is ever seen.
    assert_eq!(same.len(), 1, "{same:?}");
    assert!(
        same.iter().all(|answer| answer.starts_with("2 1 ")),
        "{same:?}"
    );
    let different: HashSet<&String> = drawn.iter().collect();
    assert_eq!(different.len(), drawn.len(), "{drawn:?}");
    assert!(times.is_sorted(), "{times:?}");
    for count in ["1", "2", "3"] {
        assert_eq!(get(server.address, "/stored").text(), count);
    }
    assert_eq!(application.starts(), 1);
    let printed = server.printed();
    assert_eq!(
        printed.matches("the model is loaded").count(),
        1,
        "{printed}"
    );
    server.signal(Signal::SIGHUP);
    server.wait_for_count("ended: replaced by a reload", 3);
    assert_eq!(application.starts(), 2);
    let (again, ..) = asked(&server);
    assert!(again.is_disjoint(&same), "what a start draws is its own");
    fails_and_leaves_open(&application);
}

fn fails_and_leaves_open(application: &Application) {
    let output = finished(application.command(&["--env", "MODE=fail"]));
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{said}");
    let last = said.lines().last().unwrap();
    assert!(
        last.contains("startup failed: the database is away"),
        "{said}"
    );
    let server = Server::command(application.command(&["--env", "MODE=open"])).start();
    let printed = server.printed();
    let why = "holds the file /data/open.txt";
    assert!(
        printed.contains("is not primed") && printed.contains(why),
        "{printed}"
    );
    assert!(get(server.address, "/").text().starts_with("1 1 "));
    let strict = application.command(&["--env", "MODE=open", "--prime-strict"]);
    let output = finished(strict);
    assert_eq!(output.status.code(), Some(3));
    let unprimed = Server::command(application.command(&["--no-prime"])).start();
    let (same, ..) = asked(&unprimed);
    assert_eq!(same.len(), 30, "each start draws its own");
}
