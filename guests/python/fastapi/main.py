"""A FastAPI application that uses most of what FastAPI has. It knows nothing of WebAssembly.

    uvicorn main:app
    wasmserve build main.py -o app.wasm && wasmserve app.wasm --workers 4
"""

import asyncio
import contextvars
import json
import random
import secrets
import time
import uuid
from contextlib import asynccontextmanager
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import Enum
from pathlib import Path as FilePath
from typing import Annotated, Literal, Union

import anyio
import httpx
from anyio import from_thread, to_thread
from fastapi import (
    APIRouter,
    BackgroundTasks,
    Cookie,
    Depends,
    FastAPI,
    File,
    Form,
    Header,
    HTTPException,
    Path,
    Query,
    Request,
    Response,
    UploadFile,
    WebSocket,
    WebSocketDisconnect,
    status,
)
from fastapi.middleware.cors import CORSMiddleware
from fastapi.responses import (
    FileResponse,
    HTMLResponse,
    JSONResponse,
    PlainTextResponse,
    RedirectResponse,
    StreamingResponse,
)
from fastapi.security import APIKeyHeader, HTTPBasic, HTTPBasicCredentials
from fastapi.staticfiles import StaticFiles
from pydantic import BaseModel, ConfigDict, Field, computed_field, field_validator, model_validator

HERE = FilePath(__file__).parent


@asynccontextmanager
async def lifespan(app: FastAPI):
    app.state.started = True
    await asyncio.sleep(0)
    yield {"greeting": "hello from the lifespan"}
    app.state.started = False


app = FastAPI(title="Everything", version="1.0.0", lifespan=lifespan)
app.add_middleware(CORSMiddleware, allow_origins=["https://example.com"], allow_methods=["*"])
app.mount("/static", StaticFiles(directory="static"), name="static")

request_name: contextvars.ContextVar[str] = contextvars.ContextVar("request_name", default="none")


@app.middleware("http")
async def name_requests(request: Request, call_next):
    request_name.set(request.headers.get("x-name", "none"))
    response = await call_next(request)
    response.headers["x-middleware"] = "passed"
    return response


class Late(Exception):
    pass


@app.exception_handler(Late)
async def late(request: Request, error: Late):
    return JSONResponse({"late": str(error)}, status_code=418)


# Path, query, header, cookie, body.


class Colour(str, Enum):
    red = "red"
    green = "green"


class Tag(BaseModel):
    name: str = Field(min_length=1, max_length=20)
    weight: float = Field(default=1.0, ge=0, le=10)


class Item(BaseModel):
    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"name": "tea", "price": "2.50"}]})

    name: str = Field(min_length=1, max_length=100)
    price: Decimal = Field(gt=0, max_digits=8, decimal_places=2)
    colour: Colour = Colour.red
    tags: list[Tag] = Field(default_factory=list, max_length=5)
    made: date | None = None

    @field_validator("name")
    @classmethod
    def no_blank(cls, name: str) -> str:
        if not name.strip():
            raise ValueError("must not be blank")
        return name.strip()

    @computed_field
    @property
    def label(self) -> str:
        return f"{self.name} ({self.colour.value})"


class Cat(BaseModel):
    kind: Literal["cat"]
    lives: int = Field(default=9, ge=0, le=9)


class Dog(BaseModel):
    kind: Literal["dog"]
    good: bool = True


class Span(BaseModel):
    begin: datetime
    end: datetime

    @model_validator(mode="after")
    def ordered(self):
        if self.end < self.begin:
            raise ValueError("ends before it begins")
        return self


class Filters(BaseModel):
    model_config = ConfigDict(extra="forbid")

    limit: int = Field(default=10, ge=1, le=100)
    order: Literal["asc", "desc"] = "asc"
    tags: list[str] = []


@app.get("/")
async def root():
    return {"message": "Hello, world!"}


@app.get("/plain", response_class=PlainTextResponse)
def plain():
    return "a plain function, not a coroutine"


@app.get("/items/{item_id}")
async def read_item(
    item_id: Annotated[int, Path(ge=1, le=1_000_000)],
    q: Annotated[str | None, Query(max_length=20)] = None,
    colour: Colour = Colour.red,
    wide: bool = False,
):
    return {"item_id": item_id, "q": q, "colour": colour, "wide": wide}


@app.post("/items", status_code=status.HTTP_201_CREATED)
async def create_item(item: Item) -> Item:
    return item


@app.put("/items/{item_id}", responses={404: {"description": "There is no such item"}})
async def replace_item(item_id: int, item: Item):
    if item_id == 404:
        raise HTTPException(404, detail=f"no item {item_id}", headers={"x-why": "not there"})
    return {"item_id": item_id, "item": item}


@app.delete("/items/{item_id}", status_code=status.HTTP_204_NO_CONTENT)
async def delete_item(item_id: int):
    return None


@app.post("/pets")
async def pet(pet: Annotated[Union[Cat, Dog], Field(discriminator="kind")]):
    return pet


@app.post("/spans")
async def span(span: Span):
    return {"seconds": (span.end - span.begin) / timedelta(seconds=1)}


@app.get("/filters")
async def filters(filters: Annotated[Filters, Query()]):
    return filters


@app.get("/headers")
async def headers(
    user_agent: Annotated[str | None, Header()] = None,
    x_token: Annotated[list[str] | None, Header()] = None,
    strange: Annotated[str | None, Header(alias="Strange_Header", convert_underscores=False)] = None,
):
    return {"user_agent": user_agent, "x_token": x_token, "strange": strange}


@app.get("/files/{path:path}")
async def any_path(path: str, request: Request):
    return {"path": path, "url_path": request.url.path, "query": str(request.query_params)}


@app.get("/cookies")
async def cookies(session: Annotated[str | None, Cookie()] = None):
    return {"session": session}


@app.post("/cookies")
async def set_cookies(response: Response):
    response.set_cookie("session", "abc", max_age=60, httponly=True, samesite="lax")
    response.set_cookie("theme", "dark")
    return {"set": True}


@app.delete("/cookies")
async def delete_cookies():
    response = JSONResponse({"deleted": True})
    response.delete_cookie("session")
    return response


# Forms and uploads.


@app.post("/form")
async def form(name: Annotated[str, Form(min_length=2)], age: Annotated[int, Form(ge=0)] = 0):
    return {"name": name, "age": age}


@app.post("/uploads")
async def upload(files: list[UploadFile], note: Annotated[str, Form()] = ""):
    return {
        "note": note,
        "files": [
            {"name": file.filename, "type": file.content_type, "size": len(await file.read())} for file in files
        ],
    }


@app.post("/file")
async def one_file(file: Annotated[bytes, File()]):
    return {"size": len(file), "sum": sum(file) % 65536}


# Dependencies.

order: contextvars.ContextVar[list] = contextvars.ContextVar("order")


async def paging(skip: int = 0, limit: Annotated[int, Query(le=100)] = 10):
    return {"skip": skip, "limit": limit}


def sync_value():
    return "from a plain function"


async def async_resource():
    events = ["async opened"]
    yield events
    events.append("async closed")


def sync_resource(events: Annotated[list, Depends(async_resource)]):
    events.append("sync opened")
    yield events
    events.append("sync closed")


class Checker:
    def __init__(self, word: str):
        self.word = word

    def __call__(self, q: str = ""):
        return self.word in q


@app.get("/dependencies")
async def dependencies(
    page: Annotated[dict, Depends(paging)],
    value: Annotated[str, Depends(sync_value)],
    events: Annotated[list, Depends(sync_resource)],
    found: Annotated[bool, Depends(Checker("tea"))],
):
    return {"page": page, "value": value, "events": events, "found": found}


async def cleaned_up():
    try:
        yield
    except Late:
        raise HTTPException(409, "the dependency saw it")


@app.get("/dependencies/raise", responses={409: {"description": "as asked"}})
async def dependency_raise(_: Annotated[None, Depends(cleaned_up)]):
    raise Late("within a dependency")


basic = HTTPBasic()
api_key = APIKeyHeader(name="x-api-key")


@app.get("/secure/basic", responses={401: {"description": "who are you?"}})
def secure_basic(who: Annotated[HTTPBasicCredentials, Depends(basic)]):
    if not secrets.compare_digest(who.password.encode(), b"secret"):
        raise HTTPException(401, headers={"WWW-Authenticate": "Basic"})
    return {"user": who.username}


@app.get("/secure/key", responses={401: {"description": "who are you?"}, 403: {"description": "not you"}})
async def secure_key(key: Annotated[str, Depends(api_key)]):
    if key != "key":
        raise HTTPException(403)
    return {"ok": True}


# Responses of all kinds.


@app.get("/html", response_class=HTMLResponse)
async def html():
    return "<h1>Grüße</h1>"


@app.get("/redirect", response_class=RedirectResponse, status_code=307)
async def redirect():
    return "/plain"


@app.get("/note", response_class=FileResponse)
async def note():
    return FileResponse(HERE / "static" / "note.txt")


@app.get("/unicode")
async def unicode():
    return {"text": "Zażółć gęślą jaźń — 你好 🎉"}


@app.get("/big")
async def big(kib: Annotated[int, Query(ge=1, le=4096)] = 1024):
    return Response(b"x" * (kib * 1024), media_type="application/octet-stream")


@app.get("/empty", status_code=204)
async def empty():
    pass


@app.get("/teapot", responses={418: {"description": "a teapot"}})
async def teapot():
    raise Late("too late for tea")


@app.get("/crash", responses={500: {"description": "as asked"}})
async def crash():
    raise RuntimeError("as asked")


# Streams.


@app.get("/events", responses={200: {"content": {"text/event-stream": {}}}})
async def events(n: Annotated[int, Query(ge=0, le=20)] = 3, ms: Annotated[int, Query(ge=0, le=100)] = 20):
    async def each():
        for number in range(n):
            yield f"id: {number}\ndata: {json.dumps({'number': number})}\n\n"
            await asyncio.sleep(ms / 1000)

    return StreamingResponse(each(), media_type="text/event-stream", headers={"cache-control": "no-store"})


@app.get("/lines", response_class=PlainTextResponse)
def lines(n: Annotated[int, Query(ge=0, le=1000)] = 5):
    return StreamingResponse((f"line {number}\n" for number in range(n)), media_type="text/plain")


@app.post("/count")
async def count(request: Request):
    size, pieces = 0, 0
    async for piece in request.stream():
        size += len(piece)
        pieces += bool(piece)
    return {"size": size, "came": pieces > 0}


@app.post("/first")
async def first(request: Request):
    # The answer does not wait for the rest.
    async for piece in request.stream():
        return {"first": piece.decode("ascii", "replace")}


@app.post("/echo")
async def echo(request: Request):
    return Response(await request.body(), media_type=request.headers.get("content-type", "text/plain"))


# asyncio.


@app.get("/gather")
async def gather():
    async def slow(number: int):
        await asyncio.sleep(0.1)
        return number * number

    begin = time.monotonic()
    results = await asyncio.gather(*(slow(number) for number in range(10)))
    return {"results": results, "together": time.monotonic() - begin < 0.9}


@app.get("/timeout")
async def timeout():
    try:
        async with asyncio.timeout(0.05):
            await asyncio.sleep(30)
    except TimeoutError:
        return {"timed_out": True}


@app.get("/groups")
async def groups():
    found: list[int] = []

    async def add(number: int):
        await asyncio.sleep(0.1 * (3 - number))
        found.append(number)

    async with asyncio.TaskGroup() as group:
        for number in range(3):
            group.create_task(add(number))
    return {"order": found}


@app.get("/queue")
async def queue():
    numbers: asyncio.Queue[int] = asyncio.Queue(maxsize=1)

    async def produce():
        for number in range(5):
            await numbers.put(number)

    task = asyncio.create_task(produce())
    taken = [await asyncio.wait_for(numbers.get(), 1) for _ in range(5)]
    await task
    return taken


@app.get("/thread")
async def thread():
    return {"name": await asyncio.to_thread(request_name.get), "sum": await asyncio.to_thread(sum, [1, 2, 3])}


@app.get("/threads")
async def threads():
    """In which order things happen around what is done in a thread, and that a cancelled task does not do it."""
    done = []
    limiter = anyio.CapacityLimiter(1)

    async def work(what, **options):
        await to_thread.run_sync(done.append, what, **options)

    async def note(what):
        done.append(what)

    other = asyncio.create_task(note("another task"))
    await work("after another task")
    await other

    with anyio.CancelScope() as scope:
        scope.cancel()
        await work("in a cancelled scope")
    with anyio.move_on_after(0):
        await work("after a deadline")
    done.append(scope.cancelled_caught)

    async def cancels_itself():
        asyncio.current_task().cancel()
        await work("in a cancelled task")

    [failure] = await asyncio.gather(cancels_itself(), return_exceptions=True)
    done.append(repr(failure))

    async def holds():
        async with limiter:
            done.append("held")
            await asyncio.sleep(0.01)
            done.append("given back")

    await asyncio.gather(holds(), work("after who held it", limiter=limiter))
    async with limiter:
        try:
            await work("while it is held", limiter=limiter)
        except RuntimeError as error:
            done.append(str(error))

    def asks(number):
        from_thread.check_cancelled()
        tokens = from_thread.run_sync(lambda: limiter.borrowed_tokens)
        return from_thread.run(asyncio.sleep, 0, (tokens, 6 // number))

    for number in (2, 0, 3):
        try:
            done.append(await to_thread.run_sync(asks, number, limiter=limiter))
        except ZeroDivisionError as error:
            done.append(type(error).__name__)
        done.append(limiter.borrowed_tokens)
    return done


@app.get("/outbound", responses={502: {"description": "the other server does not answer"}})
async def outbound(url: str):
    async with httpx.AsyncClient(timeout=5) as client:
        try:
            first, second = await asyncio.gather(client.get(url), client.post(url, json={"a": 1}))
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise HTTPException(502, "no answer") from error
    return [{"status": answer.status_code, "text": answer.text} for answer in (first, second)]


# What happens around a request.

done: list[str] = []


async def later(name: str):
    await asyncio.sleep(0.02)
    print(f"background task {name} done", flush=True)
    done.append(name)


@app.post("/background/{name}", status_code=202)
async def background(name: str, tasks: BackgroundTasks):
    tasks.add_task(later, name)
    tasks.add_task(print, f"plain background task {name} done", flush=True)
    return {"accepted": name}


@app.get("/state")
async def state(request: Request):
    return {"greeting": request.state.greeting, "started": request.app.state.started, "name": request_name.get()}


@app.get("/random")
async def randomness():
    return {
        "random": random.random(),
        "secret": secrets.token_hex(8),
        "uuid": str(uuid.uuid4()),
        "now": datetime.now().isoformat(),
    }


@app.get("/whoami")
async def whoami(request: Request):
    return {
        "method": request.method,
        "scheme": request.url.scheme,
        "path": request.url.path,
        "root_path": request.scope["root_path"],
        "client": request.client.host if request.client else None,
        "host": request.headers["host"],
        "url_for": str(request.url_for("read_item", item_id=7)),
    }


router = APIRouter(prefix="/v1", tags=["v1"])


@router.get("/ping")
async def ping():
    return {"pong": True}


app.include_router(router)
sub = FastAPI(title="Sub")


@sub.get("/hello")
async def sub_hello(request: Request):
    return {"root_path": request.scope["root_path"]}


app.mount("/sub", sub)


def asked_tag(tag: str = "none"):
    return tag


@app.websocket("/talk/{name}")
async def talk(socket: WebSocket, name: str, tag: Annotated[str, Depends(asked_tag)]):
    if name == "nobody":
        await socket.close(code=4403)
        return
    offered = socket.scope["subprotocols"]
    await socket.accept(subprotocol=offered[0] if offered else None, headers=[(b"x-greeting", b"hello")])
    try:
        while True:
            said = await socket.receive_json()
            if said == "leave":
                await socket.close(code=4000, reason="as you wish")
                return
            if said == "fail":
                raise RuntimeError("as asked")
            state = socket.state.greeting
            await socket.send_json({"name": name, "tag": tag, "scheme": socket.url.scheme, "said": said, "state": state})
    except WebSocketDisconnect as gone:
        print(f"{name} left with {gone.code}", flush=True)


@app.websocket("/ticks")
async def ticks(socket: WebSocket):
    """Sends while it receives."""
    await socket.accept()

    async def tick():
        number = 0
        while True:
            await socket.send_text(f"tick {number}")
            number += 1
            await asyncio.sleep(0.02)

    ticking = asyncio.create_task(tick())
    try:
        async for data in socket.iter_bytes():
            await socket.send_bytes(data[::-1])
    finally:
        ticking.cancel()
