//! What the bridge does with SQLAlchemy while a component is built, so that an instance's first query is not its first:
//! an application that listens is told nothing of it, no class of it is left, and classes that lack others wait for them.

use crate::harness::{Server, finished, get, root};
use crate::toolchains::{place, with_toolchains};

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

#[test]
fn what_is_rehearsed_with_sqlalchemy_leaves_nothing_that_an_application_sees() {
    let at = place("python-rehearsal");
    std::fs::write(at.join("main.py"), MAIN).unwrap();
    // What has been fetched for a sample.
    let requirements = root().join("guests/python/database/requirements.txt");
    std::fs::copy(requirements, at.join("requirements.txt")).unwrap();
    for listens in ["", "1"] {
        let file = at.join(format!("listens{listens}.wasm"));
        let mut command = with_toolchains();
        command.current_dir(&at).args(["build", "main.py", "--env"]);
        command
            .arg(format!("LISTENS={listens}"))
            .arg("-o")
            .arg(&file);
        let output = finished(command);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{said}");
        assert!(!said.contains("could not be rehearsed"), "{said}");
        let file = file.display().to_string();
        Server::compile(&file);
        let server = Server::component(file).start();
        assert_eq!(get(server.address, "/heard").text(), "[]");
        assert_eq!(get(server.address, "/mapped").text(), "['Author']");
        assert_eq!(get(server.address, "/written").text(), "2");
    }
}
