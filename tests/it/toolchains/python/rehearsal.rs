//! What the bridge does while a component is built, so that the first request of an instance is not its first, is seen by no
//! application: listeners of SQLAlchemy are told nothing, no class is left, and code is the same where it was moved.

use crate::harness::{Server, finished, get, root};
use crate::toolchains::{place, with_toolchains};
use std::path::Path;
use std::process::Command;

const MAIN: &str = r#"
import importlib, os
from sqlalchemy import Column, Engine, ForeignKey, Integer, create_engine, event, func, orm, select

heard = []
if os.environ.get("LISTENS"):
    event.listens_for(Engine, "connect")(lambda *told: heard.append("connect"))
    event.listens_for(orm.Session, "before_flush")(lambda *told: heard.append("flush"))

Base = orm.declarative_base()

class Author(Base):
    __tablename__ = "writers"
    id = Column(Integer, primary_key=True)
    books = orm.relationship("Book")

def written():
    class Book(Base):
        __tablename__ = "volumes"
        id = Column(Integer, primary_key=True)
        author_id = Column(ForeignKey("writers.id"))

    engine = create_engine("sqlite://")
    Base.metadata.create_all(engine)
    with orm.Session(engine) as session:
        session.add(Author(books=[Book(), Book()]))
        session.commit()
        return session.scalar(select(func.count()).select_from(Book))

def mapped():
    registries = importlib.import_module("sqlalchemy.orm.mapper")._all_registries()
    return sorted(it.class_.__name__ for registry in registries for it in registry.mappers)

ANSWERS = {"/heard": lambda: heard, "/mapped": mapped, "/written": written}

async def app(scope, receive, send):
    body = str(ANSWERS[scope["path"]]()).encode()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body})
"#;

/// Builds main.py, for which everything can be rehearsed, and compiles it.
fn component(at: &Path, name: &str, options: &[&str]) -> String {
    let file = at.join(name).display().to_string();
    let mut command = with_toolchains();
    command
        .current_dir(at)
        .args(["build", "main.py", "-o", &file])
        .args(options);
    let output = finished(command);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert!(!said.contains("could not be rehearsed"), "{said}");
    Server::compile(&file);
    file
}

#[test]
fn what_is_rehearsed_with_sqlalchemy_leaves_nothing_that_an_application_sees() {
    let at = place("python-rehearsal");
    std::fs::write(at.join("main.py"), MAIN).unwrap();
    // What has been fetched for a sample.
    let requirements = root().join("guests/python/database/requirements.txt");
    std::fs::copy(requirements, at.join("requirements.txt")).unwrap();
    for listens in ["", "1"] {
        let environment = format!("LISTENS={listens}");
        let name = format!("listens{listens}.wasm");
        let file = component(&at, &name, &["--env", &environment]);
        let server = Server::component(file).start();
        assert_eq!(get(server.address, "/heard").text(), "[]");
        assert_eq!(get(server.address, "/mapped").text(), "['Author']");
        assert_eq!(get(server.address, "/written").text(), "2");
    }
}

const MOVED: &str = r#"
import functools, inspect, sys, traceback
from random import random

def decorated(function):
    @functools.wraps(function)
    def wrapper(*args, **options):
        return function(*args, **options)
    return wrapper

class Base:
    def name(self):
        return "base"

class Kind(Base):
    __slots__ = ("count",)
    def name(self):
        return "kind of " + super().name()
    @property
    def twice(self):
        return (lambda: 2 * self.count)()
    @classmethod
    def of(cls, count, *, more=(1, 2)):
        it = cls()
        it.count = count + sum(more)
        return it

@decorated
def numbers(to, step=1):
    def each():
        yield from range(0, to, step)
    return [number * factor for number in each() for factor in (lambda: (1, 10))()]

def fails():
    def inner():
        raise ValueError("on purpose")
    inner()

def answer():
    it = Kind.of(1)
    yield it.name(), it.twice, Kind.of.__func__.__kwdefaults__, numbers(3, step=2)
    yield numbers.__wrapped__.__code__ == numbers.__wrapped__.__code__.replace()
    yield inspect.getsource(fails), inspect.signature(numbers)
    try:
        fails()
    except ValueError as error:
        yield [(frame.name, frame.line) for frame in traceback.extract_tb(error.__traceback__)]

def counted():
    """Whether references are counted to constants, and to the methods of CPython's own types."""
    constants = [it for it in answer.__code__.co_consts if isinstance(it, str)]
    return not all(map(sys._is_immortal, [*constants, vars(dict)["get"]]))

async def app(scope, receive, send):
    body = repr(counted() if scope["path"] == "/counted" else list(answer())).encode()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body})
"#;

#[test]
fn code_that_was_moved_is_to_an_application_what_it_was() {
    let at = place("python-moved");
    std::fs::write(at.join("main.py"), MOVED).unwrap();
    let mut natively = Command::new("python3");
    let code = "import main; print(list(main.answer()), end='')";
    natively.current_dir(&at).args(["-B", "-c", code]);
    let expected = finished(natively).stdout;
    let file = component(&at, "moved.wasm", &[]);
    let server = Server::component(file).start();
    for _ in 0..3 {
        assert_eq!(get(server.address, "/counted").text(), "False");
    }
    // What a small request writes to, of which much is the interpreter's own: 63, and 113 where code lies anywhere and
    // references to its constants are counted.
    let written = written_pages(server.workers()[0]);
    assert!(written < 85, "{written} pages are written to in a request");
    for _ in 0..3 {
        let answer = get(server.address, "/").text();
        assert_eq!(answer, String::from_utf8_lossy(&expected));
    }
}

/// So many pages of the instances' memories are not those of the snapshot any more (proc(5), /proc/pid/smaps).
fn written_pages(worker: i32) -> usize {
    let text = std::fs::read_to_string(format!("/proc/{worker}/smaps")).unwrap();
    let kilobytes = text
        .split_inclusive("VmFlags:")
        .filter(|mapping| mapping.contains("memfd:") && mapping.contains(" rw-p "))
        .filter_map(|mapping| {
            mapping
                .lines()
                .find_map(|line| line.strip_prefix("Anonymous:"))
        })
        .map(|size| {
            size.trim()
                .trim_end_matches(" kB")
                .parse::<usize>()
                .unwrap()
        });
    kilobytes.max().unwrap_or(0) / 4
}
