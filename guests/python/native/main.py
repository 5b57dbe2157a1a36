"""An application that answers by orjson and hashes passwords by bcrypt, both of which are native."""

import dataclasses
import datetime
import uuid

import bcrypt
import orjson
from fastapi import FastAPI, HTTPException, Request, Response

app = FastAPI()
KNOWN = uuid.UUID(int=7)


@dataclasses.dataclass
class Item:
    name: str
    made: datetime.datetime
    id: uuid.UUID
    price: float
    more: list | None = None


class Answer(Response):
    media_type = "application/json"

    def render(self, content):
        return orjson.dumps(content, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS)


@app.get("/item", response_class=Answer)
def item(name: str = "Zażółć 🎉"):
    made = datetime.datetime(2026, 2, 28, 23, 59, 59, 123456, datetime.timezone.utc)
    item = Item(name, made, KNOWN, 1e-7, [None, True, -(2**63), 2**64 - 1, 0.1 + 0.2])
    return Answer({"item": item, 3: "three", "name": name * 100})


@app.post("/again")
async def again(request: Request):
    try:
        return Answer(orjson.loads(await request.body()))
    except orjson.JSONDecodeError as error:
        raise HTTPException(422, str(error)) from None


@app.get("/refused")
def refused():
    try:
        orjson.dumps({"a": {1, 2}})
    except orjson.JSONEncodeError as error:
        return str(error)


@app.post("/hash")
async def hash(request: Request, rounds: int = 4):
    # The salt is said, so that the hash is the same everywhere.
    salt = b"$2b$%02d$" % rounds + b"abcdefghijklmnopqrstuu"
    try:
        return bcrypt.hashpw(await request.body(), salt).decode()
    except ValueError as error:
        raise HTTPException(422, str(error)) from None


@app.post("/check")
async def check(request: Request, hashed: str):
    return bcrypt.checkpw(await request.body(), hashed.encode())


@app.post("/own")
async def own(request: Request):
    password = await request.body()
    hashed = bcrypt.hashpw(password, bcrypt.gensalt(4))
    return [len(hashed), bcrypt.checkpw(password, hashed), bcrypt.checkpw(b"another", hashed)]


@app.get("/kdf")
def kdf():
    return bcrypt.kdf(b"password", b"salt", 32, 8, ignore_few_rounds=True).hex()


@app.get("/salt")
def salt():
    return bcrypt.gensalt(4).decode()
