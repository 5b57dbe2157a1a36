"""Answers requests at build time that nobody has sent, for applications that are nobody's.

An instance begins with what CPython had found out about code that ran before: which types come by, where attributes are.
What it has not found out it finds out in each request, and writes it to memory that has to be put back. So the way of a
request through the bridge and through the framework is gone beforehand, with endpoints of our own: the application's may
do anything.
"""

import functools
import gc
import json
import os
import sys
from types import FunctionType

from componentize_py_types import Err, Ok
from wit_world.imports import exchange, streams, types

from . import resources
from .wsgi import WsgiApp

# CPython looks at the last 16 times that a condition was met, or not.
OFTEN = 20
ASKED = (("GET", "/", None), ("GET", "/items/1?q=2", None), ("POST", "/items", {"name": "it"}))
NOTHING = functools.partial(lambda kind, handle: None)


def rehearse(answer):
    """`answer` is called with an application, a request, and what takes the response. Returns what went wrong, in words."""
    runtime = types.componentize_py_runtime
    kept = runtime.call_import, resources.drop_resource, os.closerange
    # What is open belongs to the build.
    resources.drop_resource = os.closerange = NOTHING
    wrong = []
    try:
        for name, make in FRAMEWORKS.items():
            try:
                if name in sys.modules:
                    _ask(make(sys.modules[name]), answer)
            except Exception as error:
                # A version that is asked in another way.
                wrong.append(f"{name}: {error!r}")
    finally:
        runtime.call_import, resources.drop_resource, os.closerange = kept
    return wrong


def _ask(app, answer):
    if app is None:
        return
    try:
        for host in (Host(*asked) for asked in ASKED for _ in range(OFTEN)):
            # Of a kind that the code which calls it takes for the same as what comes in its place.
            types.componentize_py_runtime.call_import = functools.partial(host.call)
            answer(app, lent(types.IncomingRequest), lent(types.ResponseOutparam))
            if not host.is_content:
                raise RuntimeError("the answer is not as it should be")
    finally:
        # Whatever came of it: a connection that is left open would end the build.
        if isinstance(app, Shop):
            app.close()


def lent(kind):
    """What stands for a resource of the host, as componentize-py makes it."""
    it = kind.__new__(kind)
    it.handle = 0
    it.finalizer = resources.Lent((None, NOTHING, (0, 0), {}))
    return it


def taken(it):
    it.finalizer.detach()
    del it.handle


class Host:
    """Answers what a request asks of the host, by the name of the function that asks."""

    def __init__(self, method, path, document):
        # Whether the response was whole, and of status 200.
        self.is_content = False
        self._body = None if document is None else json.dumps(document).encode()
        fields = [(b"host", b"localhost:8000"), (b"accept", b"*/*"), (b"user-agent", b"none")]
        if document is not None:
            fields += [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(self._body))]
        fields.append((b"wasmserve-client", b"127.0.0.1:50000"))
        self._head = exchange.Head(method, "http", "localhost:8000", path, fields)

    def call(self, number, given):
        match name := sys._getframe(1).f_code.co_qualname:
            case "head_of":
                return self._head
            case "IncomingRequest.consume":
                return Ok(lent(types.IncomingBody))
            case "IncomingBody.stream":
                return Ok(lent(streams.InputStream))
            case "InputStream.read":
                piece, self._body = self._body, None
                return Ok(piece) if piece else Err(streams.StreamError_Closed())
            case "IncomingBody.finish":
                taken(given[0])
                return lent(types.FutureTrailers)
            case "respond":
                outparam, status, _, body = given
                taken(outparam)
                self.is_content = status == 200 and body is not None
                return Ok(None)
            case "Fields.from_list":
                return Ok(lent(types.Fields))
            case "OutgoingResponse.__init__":
                taken(given[0])
                return lent(types.OutgoingResponse)
            case "OutgoingResponse.body":
                return Ok(lent(types.OutgoingBody))
            case "OutgoingBody.write":
                return Ok(lent(streams.OutputStream))
            case "ResponseOutparam.set":
                outparam, response = given
                taken(outparam)
                taken(response.value)
            case "OutputStream.check_write":
                return Ok(1 << 16)
            case "OutputStream.write" | "OutputStream.flush":
                return Ok(None)
            case "OutgoingBody.finish":
                taken(given[0])
                self.is_content = True
                return Ok(None)
            case _:
                raise RuntimeError(f"the host is asked for {name}")


class Plain:
    async def __call__(self, scope, receive, send):
        message = await receive()
        headers = [(b"content-type", b"text/plain"), (b"content-length", b"2")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"it" if message else b""})


class Shop(Plain):
    """Reads and writes a database of SQLAlchemy's that is in memory, by classes of its own."""

    def __init__(self, orm):
        sqlalchemy = sys.modules["sqlalchemy"]
        Column, Integer, String = sqlalchemy.Column, sqlalchemy.Integer, sqlalchemy.String
        base = orm.declarative_base()

        class Author(base):
            __tablename__ = "author"
            id = Column(Integer, primary_key=True)
            name = Column(String(100), index=True)
            books = orm.relationship("Book", back_populates="author")

        class Book(base):
            __tablename__ = "book"
            id = Column(Integer, primary_key=True)
            title = Column(String(100), nullable=False)
            author_id = Column(sqlalchemy.ForeignKey("author.id"))
            author = orm.relationship("Author", back_populates="books")

        self._orm, self._base, self._author, self._book = orm, base, Author, Book
        self._engine = sqlalchemy.create_engine("sqlite://", poolclass=sqlalchemy.pool.StaticPool)
        base.metadata.create_all(self._engine)

    async def __call__(self, scope, receive, send):
        # What a statement is compiled to is kept, and no application has these.
        self._engine.clear_compiled_cache()
        with self._orm.Session(self._engine) as session:
            self._write(session)
        with self._orm.Session(self._engine) as session:
            self._read(session)
        await super().__call__(scope, receive, send)

    def _write(self, session):
        author = self._author(name="a")
        author.books = [self._book(title=title) for title in "bcd"]
        session.add(author)
        session.commit()

    def _read(self, session):
        sqlalchemy, orm = sys.modules["sqlalchemy"], self._orm
        author, book = self._author, self._book
        books = sqlalchemy.select(book).options(orm.joinedload(book.author)).order_by(book.id)
        session.scalars(books.limit(2).offset(1)).all()
        written = sqlalchemy.select(author).where(author.name == "a").options(orm.selectinload(author.books))
        [found] = session.scalars(written).all()
        session.get(book, found.books[0].id)
        session.execute(sqlalchemy.select(sqlalchemy.func.count()).select_from(book)).scalar()
        found.name = "e"
        for it in found.books:
            session.delete(it)
        session.delete(found)
        session.commit()

    def close(self):
        """Leaves neither a connection nor a class that SQLAlchemy knows of."""
        self._engine.dispose()
        self._base.registry.dispose()


def _sqlalchemy(orm):
    """Nothing where an application, or a library, listens to what SQLAlchemy does: it would be told of this."""
    known = getattr(sys.modules["sqlalchemy"].event.registry, "_key_to_collection", None)
    if known is None:
        return None
    functions = {id(it): it.__module__ for it in gc.get_objects() if type(it) is FunctionType}
    # A method is known by its function and its object.
    listeners = [it[0] if isinstance(it, tuple) else it for _, _, it in known]
    is_own = all((functions.get(it) or "").startswith("sqlalchemy.") for it in listeners)
    return Shop(orm) if is_own else None


def _fastapi(fastapi):
    # One of FastAPI's own, so that the application sees no class that it does not expect.
    from fastapi.openapi.models import Tag

    app = fastapi.FastAPI(openapi_url=None)
    router = fastapi.APIRouter(tags=["it"])

    async def page(skip: int = 0, q: str | None = fastapi.Query(None, max_length=20)):
        return {"skip": skip, "q": q}

    def opened():
        yield "it"

    @app.get("/")
    async def root():
        return {"message": "it"}

    @router.get("/items/{number}", response_model=Tag)
    def read(number: int, page: dict = fastapi.Depends(page), opened: str = fastapi.Depends(opened)):
        return {"name": f"{opened}{number}", "description": page["q"]}

    @router.post("/items")
    async def create(tag: Tag, request: fastapi.Request) -> list[Tag]:
        return [tag]

    app.include_router(router)
    return app


def _starlette(starlette):
    from starlette.applications import Starlette
    from starlette.responses import JSONResponse, PlainTextResponse
    from starlette.routing import Route

    async def root(request):
        return PlainTextResponse(request.state.greeting)

    def read(request):
        return JSONResponse({"number": request.path_params["number"], "q": request.query_params.get("q")})

    async def create(request):
        return JSONResponse(await request.json())

    routes = [
        *(Route("/", root), Route("/elsewhere/{number:int}", read)),
        *(Route("/items/{number}", read), Route("/items", create, methods=["POST"])),
    ]
    return Starlette(routes=routes)


def _middleware(starlette):
    """An application behind what others have most often."""
    from starlette.middleware.base import BaseHTTPMiddleware
    from starlette.middleware.cors import CORSMiddleware
    from starlette.middleware.gzip import GZipMiddleware

    async def pass_on(request, call_next):
        return await call_next(request)

    app = _starlette(starlette)
    app.add_middleware(GZipMiddleware, minimum_size=1024)
    if (sessions := sys.modules.get("starlette.middleware.sessions")) is not None:
        app.add_middleware(sessions.SessionMiddleware, secret_key="it")
    app.add_middleware(CORSMiddleware, allow_origins=["https://it.example"])
    app.add_middleware(BaseHTTPMiddleware, dispatch=pass_on)
    return app


def _flask(flask):
    app = flask.Flask(__name__, static_folder=None)
    app.add_url_rule("/", "root", lambda: "it")
    app.add_url_rule("/items/<int:number>", "read", lambda number: {"number": number, "q": flask.request.args.get("q")})
    app.add_url_rule("/items", "create", lambda: flask.request.get_json(), methods=["POST"])
    return WsgiApp(app)


# Modules, and what makes an application of each.
FRAMEWORKS = {
    "asyncio": lambda _: Plain(),
    "starlette.middleware": _middleware,
    "starlette": _starlette,
    "fastapi": _fastapi,
    "flask": _flask,
    "sqlalchemy.orm": _sqlalchemy,
}
