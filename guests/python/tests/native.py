"""What orjson and bcrypt answer, both of which are native, for tests."""

import dataclasses
import datetime
import uuid

import orjson

OPTIONS = orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS


@dataclasses.dataclass
class Item:
    name: str
    made: datetime.datetime
    id: uuid.UUID
    price: float
    more: list | None = None


def item(query, body):
    [name] = query.get("name", ["Zażółć 🎉"])
    made = datetime.datetime(2026, 2, 28, 23, 59, 59, 123456, datetime.timezone.utc)
    item = Item(name, made, uuid.UUID(int=7), 1e-7, [None, True, -(2**63), 2**64 - 1, 0.1 + 0.2])
    return orjson.dumps({"item": item, 3: "three", "name": name * 100}, option=OPTIONS)


def again(query, body):
    return orjson.dumps(orjson.loads(body), option=OPTIONS)


def refused(query, body):
    return orjson.dumps({"a": {1, 2}})


class Late:
    """bcrypt, which is imported by the first request that needs it."""

    def __getattr__(self, name):
        import bcrypt

        return getattr(bcrypt, name)


bcrypt = Late()


def hash(query, body):
    # The salt is said, so that the hash is the same everywhere.
    salt = b"$2b$%02d$" % int(query.get("rounds", ["4"])[0]) + b"abcdefghijklmnopqrstuu"
    return bcrypt.hashpw(body, salt)


def check(query, body):
    return str(bcrypt.checkpw(body, query["hashed"][0].encode())).encode()


def own(query, body):
    hashed = bcrypt.hashpw(body, bcrypt.gensalt(4))
    return str([len(hashed), bcrypt.checkpw(body, hashed), bcrypt.checkpw(b"another", hashed)]).encode()


def kdf(query, body):
    return bcrypt.kdf(b"password", b"salt", 32, 8, ignore_few_rounds=True).hex().encode()


def salt(query, body):
    return bcrypt.gensalt(4)


PATHS = {
    "/item": item,
    "/again": again,
    "/refused": refused,
    "/hash": hash,
    "/check": check,
    "/own": own,
    "/kdf": kdf,
    "/salt": salt,
}


def answer(path, query, body):
    """Answers one of these paths; what is refused is answered with its words."""
    try:
        return PATHS[path](query, body).decode()
    except (ValueError, orjson.JSONEncodeError) as error:
        return f"{type(error).__name__}: {error}"
