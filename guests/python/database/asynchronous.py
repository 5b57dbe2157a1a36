"""SQLAlchemy's asyncio: a session for each request by a dependency, on a file of SQLite (aiosqlite) and on PostgreSQL. Where
that is, the environment says.
"""

import asyncio
import contextlib
import contextvars
import os
from typing import Annotated

import greenlet
from anyio import from_thread, to_thread
from fastapi import APIRouter, Depends, FastAPI, HTTPException
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict
from sqlalchemy import ForeignKey, func, select, text
from sqlalchemy.exc import IntegrityError, StatementError, TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncAttrs, AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship, selectinload
from sqlalchemy.util import await_only


class Base(AsyncAttrs, DeclarativeBase):
    pass


class Author(Base):
    __tablename__ = "author"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    books: Mapped[list["Book"]] = relationship(back_populates="author", order_by="Book.id", cascade="all, delete-orphan")


class Book(Base):
    __tablename__ = "book"
    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str]
    author_id: Mapped[int] = mapped_column(ForeignKey("author.id"))
    author: Mapped[Author] = relationship(back_populates="books")


class Row(Base):
    __tablename__ = "asked"
    id: Mapped[int] = mapped_column(primary_key=True)
    n: Mapped[int]
    half: Mapped[str]


class BookAs(BaseModel):
    model_config = ConfigDict(from_attributes=True)
    title: str


class AuthorAs(BaseModel):
    model_config = ConfigDict(from_attributes=True)
    name: str
    books: list[BookAs] = []


ENGINES = {"sqlite": create_async_engine("sqlite+aiosqlite:///asynchronous.db")}


@contextlib.asynccontextmanager
async def lifespan(app: FastAPI):
    if url := os.environ.get("POSTGRES_URL"):
        ENGINES["postgres"] = create_async_engine(url)
    for engine in ENGINES.values():
        async with engine.begin() as connection:
            await connection.run_sync(Base.metadata.create_all)
    yield
    for engine in ENGINES.values():
        await engine.dispose()


def maker(kind):
    return async_sessionmaker(ENGINES[kind], expire_on_commit=False)


async def session_of(kind: str):
    async with maker(kind)() as session:
        yield session


SessionDep = Annotated[AsyncSession, Depends(session_of)]
router = APIRouter(prefix="/async/{kind}", lifespan=lifespan)


@router.post("/authors", response_model=AuthorAs)
async def add(asked: AuthorAs, session: SessionDep):
    author = Author(name=asked.name, books=[Book(title=book.title) for book in asked.books])
    session.add(author)
    try:
        await session.commit()
    except IntegrityError:
        await session.rollback()
        raise HTTPException(409, detail=f"{await session.scalar(select(func.count(Author.id)))} there") from None
    await session.refresh(author, ["books"])
    return author


@router.get("/authors", response_model=list[AuthorAs])
async def everybody(session: SessionDep):
    return (await session.scalars(select(Author).options(selectinload(Author.books)).order_by(Author.name))).all()


@router.get("/lazy/{name}")
async def lazily(name: str, session: SessionDep):
    """What is loaded when it is looked at: not without an await, but by one, and within a function that is run for it."""
    author = (await session.scalars(select(Author).where(Author.name == name))).one()
    found = []
    try:
        found.append(len(author.books))
    except StatementError as error:
        found.append(str(error).split(";")[0])
    found.append(len(await author.awaitable_attrs.books))
    session.expire_all()
    found.append(await session.run_sync(lambda plain: [book.title for book in plain.get(Author, author.id).books]))
    return found


@router.post("/broken/{name}")
async def broken(name: str, kind: str):
    """A transaction that fails half way."""
    async with maker(kind)() as session, session.begin():
        session.add(Author(name=name))
        await session.flush()
        inside = await session.scalar(select(func.count(Author.id)).where(Author.name == name))
        raise HTTPException(418, detail=f"{inside} inside")


@router.post("/nested")
async def nested(session: SessionDep):
    """A savepoint that is rolled back within a transaction that is committed."""
    session.add(Author(name="outer"))
    await session.flush()
    with contextlib.suppress(IntegrityError):
        async with session.begin_nested():
            session.add(Author(name="outer"))
    await session.commit()
    names = (await session.scalars(select(Author.name).where(Author.name == "outer"))).all()
    await session.execute(text("DELETE FROM author WHERE name = 'outer'"))
    await session.commit()
    return names


@router.get("/gathered")
async def gathered(kind: str, n: int = 50, ms: int = 0):
    """Many sessions in one request, more than there are connections, each of which is kept for a while."""

    async def one(number):
        async with maker(kind)() as session:
            twice = await session.scalar(text("SELECT 2 * CAST(:n AS INTEGER)"), {"n": number})
            if ms:
                await asyncio.sleep(ms / 1000)
            return twice + await session.scalar(select(func.count(Author.id)))

    return sum(await asyncio.gather(*(one(number) for number in range(n))))


@router.get("/streamed")
async def streamed(kind: str, n: int = 1000):
    async def lines():
        counted = "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < :n) SELECT n FROM c"
        async with maker(kind)() as session:
            result = await session.stream(text(counted.replace(":n", str(n))))
            async for (number,) in result:
                yield f"{number}\n"

    return StreamingResponse(lines(), media_type="text/plain")


here = contextvars.ContextVar("here", default="nowhere")


@router.get("/waiting")
async def waiting(kind: str, session: SessionDep):
    """Functions that wait for what is not the database's: other tasks go on meanwhile, time-outs and cancellation reach
    them, and what is of the task is as it was."""
    here.set("the request")
    event, found = asyncio.Event(), []

    async def other():
        here.set("another task")
        await asyncio.sleep(0.01)
        async with maker(kind)() as another:
            found.append(await another.scalar(text("SELECT 7")))
        event.set()

    async def event_in_context():
        await event.wait()
        return here.get(), asyncio.current_task().get_name()

    def function(plain):
        return plain.execute(text("SELECT 1")).scalar(), *await_only(event_in_context())

    asyncio.current_task().set_name("request")
    async with AsyncSession(session.bind) as session_free:
        async with asyncio.TaskGroup() as group:
            group.create_task(other())
            found.append(await session.run_sync(function))
        # The other one asks first, and this function has asked nothing yet.
        event.clear()
        async with asyncio.TaskGroup() as group:
            group.create_task(other())
            found.append(await session_free.run_sync(lambda plain: await_only(event.wait())))
    try:
        async with asyncio.timeout(0.05):
            await session.run_sync(lambda plain: await_only(asyncio.sleep(20)))
    except TimeoutError:
        found.append(["late", asyncio.current_task().cancelling()])
    found.append(await cancelled(session))
    found.append(await raised(session))
    # And those that have a thread elsewhere.
    asked = (to_thread.run_sync(from_thread.run, asyncio.sleep, 0.01, number) for number in range(3))
    found.append(await asyncio.gather(*asked))
    await asyncio.sleep(0)
    found.append(await session.scalar(text("SELECT 3")))
    return found


async def cancelled(session):
    """A task that is cancelled in a function, which notes it and goes on to its end."""
    notes = []

    def function(plain):
        try:
            await_only(asyncio.sleep(20))
        except asyncio.CancelledError as error:
            notes.append(str(error))
            notes.append(await_only(asyncio.sleep(0.01, "tidied")))
            raise

    task = asyncio.create_task(session.run_sync(function))
    await asyncio.sleep(0.01)
    task.cancel("enough")
    await asyncio.wait([task])
    return [*notes, task.cancelled()]


async def raised(session):
    async def fails():
        await asyncio.sleep(0.01)
        raise LookupError("not here")

    def function(plain):
        try:
            await_only(fails())
        except LookupError as error:
            return str(error)

    found = await asyncio.gather(*(session.run_sync(function) for _ in range(3)))
    return found


@router.get("/exhausted")
async def exhausted(kind: str):
    """More sessions than connections, none of which is given back: SQLAlchemy gives up after a while."""
    engine = create_async_engine(ENGINES[kind].url, pool_size=1, max_overflow=0, pool_timeout=0.2)
    try:
        async with engine.connect() as first:
            await first.execute(text("SELECT 1"))
            async with engine.connect():
                return "two"
    except PoolTimeout as error:
        return str(error).split(",")[0]
    finally:
        await engine.dispose()


@router.get("/never/{what}")
async def never(what: str, session: SessionDep):
    """What cannot be: to wait in a function for what comes only when that has ended, and to switch between functions."""
    event = asyncio.Event()

    def function(plain):
        if what == "comes":
            await_only(event.wait())
        inner = greenlet.greenlet(lambda: greenlet.getcurrent().parent.switch("a value"))
        inner.switch()

    try:
        await session.run_sync(function)
    except (RuntimeError, greenlet.error) as error:
        return str(error)


@router.post("/rows/{number}")
async def add_row(number: int, session: SessionDep):
    session.add(Row(n=number, half="first"))
    await session.flush()
    session.add(Row(n=number, half="second"))
    await session.commit()
    return number
