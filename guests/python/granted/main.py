"""Databases that the server grants by a name (`--postgres app=URL`, `--sqlite app=PATH`): by SQLModel, and by the
drivers themselves.
"""

import asyncio
import datetime
import decimal
import enum
import ipaddress
import uuid

import wasmserve_postgres
import wasmserve_sqlite
from fastapi import FastAPI, HTTPException
from pydantic import NaiveDatetime
from sqlalchemy.exc import IntegrityError, MissingGreenlet, OperationalError
from sqlalchemy.ext.asyncio import create_async_engine
from sqlmodel import Field, Session, SQLModel, create_engine, literal, select, text
from sqlmodel.ext.asyncio.session import AsyncSession
from wasmserve_postgres import Range


class Answer(str, enum.Enum):
    YES = "yes"


class Asked(SQLModel):
    name: str = Field(index=True, unique=True)
    age: int | None = None
    born: NaiveDatetime | None = None
    worth: decimal.Decimal | None = Field(default=None, max_digits=10, decimal_places=2)
    badge: uuid.UUID | None = None


class Hero(Asked, table=True):
    id: int | None = Field(default=None, primary_key=True)


class Pair(SQLModel, table=True):
    id: int | None = Field(default=None, primary_key=True)
    n: int
    half: str


ENGINES = {
    "postgres": create_engine("postgresql+wasmserve://app"),
    "sqlite": create_engine("sqlite+wasmserve://app"),
}
DRIVERS = {"postgres": wasmserve_postgres, "sqlite": wasmserve_sqlite}

app = FastAPI()


@app.post("/{kind}/tables")
def create_tables(kind: str):
    SQLModel.metadata.create_all(ENGINES[kind])
    # Again: they are there.
    SQLModel.metadata.create_all(ENGINES[kind])


@app.post("/{kind}/heroes/")
def create_hero(kind: str, asked: Asked) -> Hero:
    hero = Hero.model_validate(asked)
    with Session(ENGINES[kind]) as session:
        session.add(hero)
        try:
            session.commit()
        except IntegrityError:
            raise HTTPException(status_code=409, detail="there is one of this name") from None
        session.refresh(hero)
        return hero


@app.get("/{kind}/heroes/")
def read_heroes(kind: str, least: int = 0) -> list[Hero]:
    with Session(ENGINES[kind]) as session:
        return session.exec(select(Hero).where(Hero.age >= least).order_by(Hero.age)).all()


@app.delete("/{kind}/heroes/{number}")
def delete_hero(kind: str, number: int):
    with Session(ENGINES[kind]) as session:
        hero = session.get(Hero, number)
        if not hero:
            raise HTTPException(status_code=404)
        session.delete(hero)
        session.commit()


@app.post("/{kind}/pairs/{number}")
def add_pair(kind: str, number: int):
    with Session(ENGINES[kind]) as session:
        session.add(Pair(n=number, half="first"))
        session.flush()
        session.add(Pair(n=number, half="second"))
        session.commit()
    return number


@app.get("/{kind}/counts")
def counts(kind: str) -> list[int]:
    """How many rows statements say that they have changed, after WITH too."""
    with DRIVERS[kind].connect("app") as connection:
        counted = [
            connection.execute(statement).rowcount
            for statement in [
                "insert into pair (n, half) values (-3, 'a'), (-3, 'b')",
                "with x as (select -3 as n) update pair set half = 'with (' where n in (select n from x)",
                "with x(n) as (select -3), y as (select n from x) delete from pair where n in (select n from y)",
                "with x as (select 1) select * from x",
                "-- nothing",
                "",
            ]
        ]
        connection.rollback()
    return counted


@app.post("/{kind}/rolled-back")
def rolled_back(kind: str):
    """What is left of rows that were written and rolled back, after statements that begin or end a transaction."""
    insert = "insert into pair (n, half) values (-1, 'it')"
    with DRIVERS[kind].connect("app") as connection:
        cursor = connection.cursor()
        for before, statement in [
            (["select 1"], insert), (["begin", "commit"], insert), (["begin", "/* c */ rollback"], insert),
            (["begin"], insert), ([], f"-- c\n{insert}"), ([], f"/* c */ {insert}"), (["savepoint a"], insert),
        ]:  # fmt: skip
            for earlier in before:
                cursor.execute(earlier)
            cursor.execute(statement)
            connection.rollback()
        cursor.execute("savepoint b")
        cursor.execute(insert.replace("-1", "-2"))
        cursor.execute("release savepoint b")
        connection.commit()
        cursor.execute("select n from pair where n < 0")
        left = cursor.fetchall()
        cursor.execute("delete from pair where n < 0")
    return left


@app.get("/{kind}/mistakes")
def mistakes(kind: str):
    """What statements raise whose parameters do not fit."""
    place = {"postgres": "%s", "sqlite": "?"}[kind]
    raised = []
    with DRIVERS[kind].connect("app") as connection:
        for parameters in ({"a": 1}, [], [1, 2]):
            try:
                connection.execute(f"select {place}", parameters)
            except DRIVERS[kind].Error as error:
                raised.append(type(error).__name__)
    return raised


@app.get("/postgres/values")
def values():
    """What a driver gives for values of many types, and what goes in for them."""
    moment = datetime.datetime(2024, 2, 29, 12, 30, 1, 5, tzinfo=datetime.timezone(datetime.timedelta(hours=2)))
    given = [
        (True, "boolean"), (7, "smallint"), (1 << 40, "bigint"), (1 << 70, "numeric"), (0.1, "float8"), ("ä%s", "text"),
        (b"\x00\xff", "bytea"), (moment, "timestamptz"), (moment.replace(tzinfo=None), "timestamp"),
        (moment.date(), "date"), (datetime.time(1, 2, 3), "time"), (datetime.timedelta(-1, 5), "interval"),
        (uuid.UUID(int=7), "uuid"), (decimal.Decimal("1.50"), "numeric"), ({"a": [1]}, "jsonb"), (["a", None, '"'], "text[]"),
        ([1, None], "int[]"), (None, "int"), ([1.5, None], "float8[]"), ([[1, 2], [3, 4]], "int[]"), ([True], "bool[]"),
        ([uuid.UUID(int=7)], "uuid[]"), ([moment], "timestamptz[]"), ([decimal.Decimal("-10000.050")], "numeric[]"),
        ([b"\\"], "bytea[]"), ([{"a": '"'}], "jsonb[]"), ([], "text[]"), (moment.timetz(), "timetz"),
        (ipaddress.ip_address("10.0.0.1"), "inet"), (ipaddress.ip_interface("2001:db8::1/64"), "inet"),
        (ipaddress.ip_network("10.0.0.0/8"), "cidr"), ("infinity", "timestamp"), ("-infinity", "timestamptz"),
        ("infinity", "date"), ("08:00:2b:01:02:03", "macaddr"), ("101", "bit(3)"), (Range(1, 5), "int4range"),
        (Range(is_empty=True), "int8range"), (Range(None, moment, "()"), "tstzrange"),
        (Range(decimal.Decimal("1.5"), None, "[)"), "numrange"), (Range(moment.date(), datetime.date(2024, 3, 1)), "daterange"),
        ([Range(1, 2), Range(5, 7)], "int4multirange"), (Answer.YES, "text"),
    ]  # fmt: skip
    wrong = []
    with wasmserve_postgres.connect("app") as connection:
        cursor = connection.cursor()
        for value, kind in given:
            cursor.execute(f"select %s::{kind}, '%%'", [value])
            (found, percent) = cursor.fetchone()
            if (found, percent) != (value, "%"):
                wrong.append(f"{kind}: {found!r} instead of {value!r}")
        # Of these the parameter says the type, and not the statement.
        day = datetime.timedelta(days=1)
        for value in (moment, moment.replace(tzinfo=None)):
            cursor.execute("select %s + interval '1 day', pg_typeof(%s)::text", [value, value])
            found, kind = cursor.fetchone()
            if found != value + day:
                wrong.append(f"{kind}: {found!r} instead of {value + day!r}")
        cursor.execute("select %s - %s", [moment.date(), moment.date() - day])
        if (found := cursor.fetchone()) != (1,):
            wrong.append(f"dates: {found!r}")
    return wrong


@app.get("/{kind}/errors")
def errors(kind: str):
    driver = DRIVERS[kind]
    raised = []
    for name, statement in [
        ("app", "select * from none_of_this_name"),
        ("app", "insert into hero (name) values ('x'), ('x')"),
        ("other", "select 1"),
    ]:
        try:
            driver.connect(name).cursor().execute(statement)
        except driver.Error as error:
            raised.append(type(error).__name__)
    return raised


@app.get("/{kind}/one")
def one(kind: str):
    with Session(ENGINES[kind]) as session:
        return session.execute(text("select 1")).scalar()


# The same by SQLAlchemy's asyncio: the same URL.
ASYNC = {kind: create_async_engine(engine.url) for kind, engine in ENGINES.items()}


@app.post("/{kind}/async/pairs/{number}")
async def add_pair_by_asyncio(kind: str, number: int):
    async with AsyncSession(ASYNC[kind]) as session:
        session.add(Pair(n=number, half="first"))
        await session.flush()
        session.add(Pair(n=number, half="second"))
        await session.commit()
    return number


@app.get("/{kind}/async/gathered")
async def gathered(kind: str, n: int = 50, ms: int = 0) -> int:
    """Many sessions in one request, each of which keeps its connection for a while."""

    async def one(number):
        async with AsyncSession(ASYNC[kind]) as session:
            twice = (await session.exec(select(2 * literal(number)))).one()
            await asyncio.sleep(ms / 1000)
            return twice + (await session.exec(select(literal(1)))).one()

    return sum(await asyncio.gather(*(one(number) for number in range(n))))


@app.get("/{kind}/async/said")
async def said(kind: str) -> list[str | int]:
    """What goes wrong and what is rolled back, what is read as it comes, and what cannot be without an await."""
    found = []
    async with AsyncSession(ASYNC[kind]) as session:
        session.add(Hero(name="Once"))
        await session.flush()
        session.add(Hero(name="Once"))
        try:
            await session.flush()
        except IntegrityError as error:
            found.append(type(error).__name__)
        await session.rollback()
        found.append(len((await session.exec(select(Hero).where(Hero.name == "Once"))).all()))
        rows = await session.stream(text("SELECT 1 UNION SELECT 2 ORDER BY 1"))
        found += [number async for (number,) in rows]
        hero = Hero(name="Late")
        session.add(hero)
        await session.commit()
        try:
            found.append(hero.name)
        except MissingGreenlet as error:
            found.append(str(error).split(";")[0])
        await session.refresh(hero)
        found.append(hero.name)
        await session.delete(hero)
        await session.commit()
    try:
        async with create_async_engine(ASYNC[kind].url.set(host="other")).connect():
            pass
    except OperationalError as error:
        found.append(type(error).__name__)
    return found
