//! Projects in Python as people have them: packages, files beside the code, a polluted Python, and what an
//! application does while it is imported.

use crate::harness::{Server, finished, get};
use crate::toolchains::{place, trials, with_toolchains};
use std::path::Path;
use std::process::{Command, Output};
use std::sync::LazyLock;

/// "Bigger Applications" of FastAPI's tutorial, without FastAPI.
const MAIN: &str = r#"
import asyncio, datetime, importlib.resources, multiprocessing.synchronize, os, pkgutil, quart, socket, sqlite3, zoneinfo
from .internal.names import NAMES
from app.settings import SECRET, TOLD; from os import getuid

try:
    import polluting
    polluted = True
except ImportError:
    polluted = False

def look_up():
    try:
        return str(socket.getaddrinfo("127.0.0.1", 80)[0][4])
    except OSError as error:
        return type(error).__name__

FIRST = look_up()
PARIS = zoneinfo.ZoneInfo("Europe/Paris")

async def slept():
    await asyncio.sleep(0.01)
    return "slept"

SLEPT = asyncio.run(slept())

def zone():
    day = datetime.datetime(2026, 7, 1, tzinfo=PARIS)
    return f"{SLEPT} {day.isoformat()} {day.astimezone(zoneinfo.ZoneInfo('Asia/Tokyo')).isoformat()}"

def resources():
    folder = importlib.resources.files("app.data")
    with importlib.resources.as_file(folder / "a.txt") as path:
        return [folder.joinpath("a.txt").read_text(), open(path).read(), open("app/data/a.txt").read(),
                pkgutil.get_data("app", "data/a.txt").decode(), sorted(os.listdir("app/data"))]

def late():
    import app.late, json.tool
    return [app.late.__file__, [it.name for it in pkgutil.iter_modules(app.__path__)]]

def stored():
    connection = sqlite3.connect("test.db")
    with connection:
        connection.execute("CREATE TABLE IF NOT EXISTS t (n)")
        connection.execute("INSERT INTO t VALUES (1)")
    return connection.execute("SELECT count(*) FROM t").fetchone()[0]

def processes():
    server = importlib.import_module("hypercorn").__name__
    try:
        return [server, getuid(), multiprocessing.Lock()]
    except OSError as error:
        return [server, getuid(), error.strerror]

def write():
    try:
        open("written.txt", "w").close()
        return "written"
    except OSError as error:
        return str(error)

ANSWERS = {"/": lambda: [os.getcwd(), polluted, NAMES, SECRET, TOLD], "/zone": zone, "/resources": resources,
           "/late": late, "/stored": stored, "/write": write, "/processes": processes,
           "/names": lambda: f"{FIRST} {look_up()}"}

async def application(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        # The host's clocks answer nobody yet when this is built.
        await asyncio.sleep(0.01)
        await send({"type": "lifespan.startup.complete"})
    elif scope["type"] == "http":
        body = str(ANSWERS[scope["path"]]()).encode()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": body})
"#;

const FILES: [(&str, &str); 8] = [
    ("app/__init__.py", ""),
    ("app/main.py", MAIN),
    ("app/internal/__init__.py", ""),
    ("app/internal/names.py", "NAMES = ['a']\n"),
    (
        "app/settings.py",
        "import os\nSECRET = os.getenv('SECRET', 'none')\nTOLD = os.getenv('TOLD')\n",
    ),
    ("app/late.py", ""),
    ("app/data/a.txt", "text"),
    (".env", "SECRET=1\n"),
];

fn write(at: &Path, files: &[(&str, &str)]) {
    for (name, text) in files {
        std::fs::create_dir_all(at.join(name).parent().unwrap()).unwrap();
        std::fs::write(at.join(name), text).unwrap();
    }
}

fn build(at: &Path, arguments: &[&str]) -> Command {
    let mut command = with_toolchains();
    command.current_dir(at).arg("build").args(arguments);
    command.args(["-o", "app.wasm"]);
    command
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// What building the package says, and the component, which is made once.
fn bigger() -> &'static (String, String) {
    static MADE: LazyLock<(String, String)> = LazyLock::new(|| {
        let at = place("python-bigger");
        write(&at, &FILES);
        // A virtual environment, and a path, with what nobody asked for.
        write(&at, &[("venv/pyvenv.cfg", "")]);
        write(&at, &[("venv/lib/site-packages/polluting.py", "")]);
        // What is kept of an earlier test says nothing.
        let requirements = format!("framework\nframework2\nquart\n# {}\n", std::process::id());
        write(&at, &[("requirements.txt", &requirements)]);
        write_wheels(&at, &SERVERS);
        let mut command = build(&at, &["app/main.py", "--find-links", "wheels"]);
        command
            .args(["--env", "TOLD=told"])
            .env_remove("PIP_CONSTRAINT")
            .env("VIRTUAL_ENV", at.join("venv"))
            .env("PYTHONPATH", at.join("venv/lib/site-packages"));
        let output = finished(command);
        assert!(output.status.success(), "{}", said(&output));
        let file = at.join("app.wasm").display().to_string();
        Server::compile(&file);
        (said(&output), file)
    });
    &MADE
}

/// What a component has comes from the project and from what the build is told alone; its files, resources, time zones
/// and late imports are there; its directory is the working directory, which can be a directory of the host's.
#[test]
fn a_package_has_its_files_and_nothing_of_the_hosts() {
    let (said, file) = bigger();
    let note = "note: app/settings.py:2 reads `SECRET` while the component is built";
    assert!(
        said.contains(note) && !said.contains("`TOLD`") && said.contains(".env stays out"),
        "{said}"
    );
    let server = trials::serve(file, &[]);
    let answer = |path: &str| get(server.address, path).text();
    assert_eq!(answer("/"), "['/app', False, ['a'], 'none', 'told']");
    assert_eq!(
        answer("/zone"),
        "slept 2026-07-01T00:00:00+02:00 2026-07-01T07:00:00+09:00"
    );
    assert_eq!(
        answer("/resources"),
        "['text', 'text', 'text', 'text', ['a.txt']]"
    );
    assert_eq!(
        answer("/processes"),
        "['hypercorn', 65534, 'WASI starts no processes']"
    );
    let late = answer("/late");
    assert!(
        late.contains("'/app/app/late.py', ['internal', 'late'"),
        "{late}"
    );
    assert!(
        answer("/write").contains("give it a directory with --dir-rw"),
        "{}",
        answer("/write")
    );
    let data = place("python-bigger-data");
    let mapped = format!("{}::/app", data.display());
    let server = trials::serve(file, &["--dir-rw", &mapped]);
    for count in ["1", "2"] {
        assert_eq!(get(server.address, "/stored").text(), count);
    }
    assert_eq!(get(server.address, "/write").text(), "written");
    assert!(data.join("test.db").is_file() && data.join("written.txt").is_file());
}

#[test]
fn a_package_is_found_in_a_directory_or_named_by_the_application() {
    let at = place("python-bigger-named");
    write(&at, &FILES);
    // What ends the build before it takes long.
    write(&at, &[("requirements.txt", "-r nowhere.txt\n")]);
    for (arguments, why) in [
        (&["."][..], "the application is app.main:application"),
        (
            &["--app", "app.main:nothing", "."],
            "main.py has no `nothing`: name the application with --app app.main:NAME",
        ),
        (
            &["--app", "app.nowhere:app", "."],
            "there is no module `app.nowhere`",
        ),
    ] {
        let output = finished(build(&at, arguments));
        assert_eq!(output.status.code(), Some(3), "{}", said(&output));
        assert!(said(&output).contains(why), "{}", said(&output));
    }
    write(&at, &[("main.c", "")]);
    let output = finished(build(&at, &["main.c", "--app", "a:b"]));
    assert_eq!(output.status.code(), Some(2));
    assert!(
        said(&output).contains("no application in Python"),
        "{}",
        said(&output)
    );
}

/// What the host that builds knows by a handle no other knows: a name that was looked up while the component was built
/// made every later look-up trap.
#[test]
fn no_handle_of_the_host_that_builds_is_kept() {
    let (text, file) = bigger();
    let note = "a name cannot be looked up while the component is built, as app/main.py:14 does";
    assert!(text.contains(note), "{text}");
    let server = trials::serve(file, &["--allow-net", "127.0.0.1:80"]);
    assert_eq!(
        get(server.address, "/names").text(),
        "gaierror ('127.0.0.1', 80)"
    );
    let at = place("python-handles");
    let text = "kept = open('/0/settings.json')\napp = None\n";
    write(&at, &[("main.py", text)]);
    let output = finished(build(&at, &["main.py"]));
    let why = "`main.kept` holds the file /0/settings.json";
    assert!(said(&output).contains(why), "{}", said(&output));
}

#[test]
fn what_ends_an_application_while_it_is_imported_is_named() {
    let at = place("python-ends");
    for (text, why) in [
        ("import sys\nsys.exit(3)\napp = None\n", "sys.exit(3)"),
        (
            "import resource\napp = None\n",
            "Python has no `resource` where",
        ),
    ] {
        write(&at, &[("main.py", text)]);
        let output = finished(build(&at, &["main.py", "--app", "main:app"]));
        assert_eq!(output.status.code(), Some(3));
        assert!(said(&output).contains(why), "{}", said(&output));
    }
}

/// Writes wheels: name, tag, and what each asks for.
const WHEELS: &str = r#"
import sys, zipfile
for word in sys.argv[2:]:
    name, tag, *asked = word.split(",")
    info = f"{name}-1.0.dist-info"
    with zipfile.ZipFile(f"{sys.argv[1]}/{name}-1.0-{tag}.whl", "w") as wheel:
        wheel.writestr(f"{name}.py", "")
        wheel.writestr(f"{info}/WHEEL", f"Wheel-Version: 1.0\nTag: {tag}\n")
        lines = "".join(f"Requires-Dist: {it}\n" for it in asked)
        wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n{lines}")
        wheel.writestr(f"{info}/RECORD", "")
"#;

fn write_wheels(at: &Path, wheels: &[&str]) {
    write(at, &[("wheels/.keep", "")]);
    let mut python = Command::new("python3");
    python
        .args(["-c", WHEELS])
        .arg(at.join("wheels"))
        .args(wheels);
    assert!(finished(python).status.success());
}

/// Packages of which only servers need some: `framework` asks for them as `fastapi[standard]` does.
const SERVERS: [&str; 10] = [
    "framework,py3-none-any,fastapi-cli,uvicorn",
    "fastapi_cli,py3-none-any,between",
    "between,py3-none-any,deep",
    "deep,cp314-cp314-manylinux_2_17_x86_64",
    "uvicorn,py3-none-any,both",
    "framework2,py3-none-any,both",
    "both,cp314-cp314-manylinux_2_17_x86_64",
    "both,py3-none-any",
    "quart,py3-none-any,hypercorn",
    "hypercorn,py3-none-any",
];

/// What only a server or its command line needs is left out, however deep it is (`fastapi[standard]` asks for a
/// package with a native part by way of fastapi-cli), but not what a framework imports itself (Quart, hypercorn); a
/// package that has a form in Python is taken in that form.
#[test]
fn what_only_servers_need_is_left_out() {
    let (text, _) = bigger();
    assert!(text.contains("fetching 5 packages\n"), "{text}");
}

/// What is said where the one requirement is `first`, and these wheels are to be had.
fn refused_with(name: &str, wheels: &[&str]) -> String {
    let at = place(name);
    write(&at, &[("main.py", "app = None\n")]);
    write(&at, &[("requirements.txt", "first\n")]);
    write_wheels(&at, wheels);
    let mut command = build(&at, &["main.py", "--find-links", "wheels"]);
    command.env_remove("PIP_CONSTRAINT");
    let output = finished(command);
    let text = said(&output);
    assert_eq!(output.status.code(), Some(3), "{text}");
    assert!(!text.contains("fetching"), "{text}");
    text
}

#[test]
fn a_package_that_cannot_be_built_says_so_at_once_and_who_asks_for_it() {
    let wheels = [
        "first,py3-none-any,second",
        "second,py3-none-any,asyncpg",
        "asyncpg,cp314-cp314-manylinux_2_17_x86_64",
    ];
    let text = refused_with("python-native", &wheels);
    let why = "asyncpg 1.0, which second asks for (and first for that), has a native part that cannot be in a \
               component: use pg8000";
    assert!(text.contains(why), "{text}");
}

/// What is built from its source takes minutes, and versions before the ones that were tried may fail after them.
#[test]
fn a_version_that_is_older_than_what_is_known_to_build_is_refused_at_once() {
    for (package, since) in [("bcrypt", "5.0.0"), ("cffi", "2.1.1")] {
        let wheels = [
            format!("first,py3-none-any,{package}"),
            format!("{package},cp314-cp314-manylinux_2_17_x86_64"),
        ];
        let text = refused_with("python-old", &wheels.each_ref().map(String::as_str));
        let why = format!(
            "{package} 1.0, which first asks for, is not known to build for WASI: ask for `{package}>={since}`"
        );
        assert!(text.contains(&why), "{text}");
    }
}

/// What is read out of the memory of a component has a limit, which says itself that some fuel is exhausted.
#[test]
fn an_application_that_takes_too_much_memory_while_it_is_imported_is_told_the_limit() {
    let at = place("python-memory");
    write(
        &at,
        &[("main.py", "held = bytearray(140 << 20)\napp = print\n")],
    );
    let output = finished(build(&at, &["main.py"]));
    let why = "the application takes more than 128 MiB of memory while it is imported";
    assert!(said(&output).contains(why), "{}", said(&output));
}
