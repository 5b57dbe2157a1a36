"""Packages that applications ask for most, each used as its documentation says. What the application is told by the
environment it reads when it starts; see Settings.
"""

import asyncio
import os
from contextlib import asynccontextmanager
from functools import lru_cache
from typing import Annotated

import prometheus_client
import sentry_sdk
import websockets
from fastapi import Depends, FastAPI, File, Form, Request, UploadFile
from fastapi.templating import Jinja2Templates
from pydantic import BaseModel, EmailStr
from pydantic_settings import BaseSettings, SettingsConfigDict
from sentry_sdk.integrations.fastapi import FastApiIntegration
from sentry_sdk.integrations.starlette import StarletteIntegration
from slowapi import Limiter, _rate_limit_exceeded_handler
from slowapi.errors import RateLimitExceeded
from slowapi.middleware import SlowAPIMiddleware
from sse_starlette import EventSourceResponse
from starlette.middleware.sessions import SessionMiddleware

import observed
import stored
import tokens

# What it installs around the application is there from here on; whom it tells, it learns when the application starts.
# Left to itself it would import each package that it knows, boto3 among them.
SENTRY = {"auto_enabling_integrations": False, "integrations": [StarletteIntegration(), FastApiIntegration()]}
sentry_sdk.init(**SENTRY)


class Limits(BaseModel):
    requests: str = "2/hour"
    storage: str = "memory://"


class Settings(BaseSettings):
    model_config = SettingsConfigDict(env_prefix="PACKAGES_", env_nested_delimiter="__")
    name: str = "unset"
    ports: list[int] = []
    limits: Limits = Limits()


@lru_cache
def get_settings():
    return Settings()


SettingsDep = Annotated[Settings, Depends(get_settings)]

# The same without a library: what the first who asks for it finds out.
sign = None


def get_sign():
    global sign
    if sign is None:
        sign = os.environ.get("PACKAGES_NAME", "nobody's")
    return sign


def everybody(request: Request):
    return "everybody"


@asynccontextmanager
async def lifespan(app: FastAPI):
    app.state.sign, limits = get_sign(), get_settings().limits
    limiter = Limiter(
        key_func=everybody, default_limits=[limits.requests], storage_uri=limits.storage, headers_enabled=True
    )
    limited.state.limiter = limiter
    # Not compressed, so that a test can read it.
    sentry_sdk.init(**SENTRY, _experiments={"transport_compression_level": 0})
    yield


app = FastAPI(lifespan=lifespan)
app.add_middleware(SessionMiddleware, secret_key=tokens.SECRET, session_cookie="pets")
for module in (observed, stored, tokens):
    app.include_router(module.router)
app.mount("/metrics", prometheus_client.make_asgi_app(registry=observed.registry))

# slowapi: an application of its own, all of whose routes are limited.
limited = FastAPI()
limited.add_exception_handler(RateLimitExceeded, _rate_limit_exceeded_handler)
limited.add_middleware(SlowAPIMiddleware)
app.mount("/limited", limited)


@limited.get("/pets")
async def limited_pets():
    return ["rex"]


@app.get("/settings")
def settings(settings: SettingsDep):
    return settings


@app.get("/settings/sign")
def settings_at_the_start():
    return [app.state.sign, get_sign()]


@app.get("/settings/wrong")
def wrong_settings():
    try:
        return Settings(ports="none")
    except ValueError as error:
        return str(error)


# email-validator and python-multipart.
class Account(BaseModel):
    email: EmailStr


@app.post("/account")
def account(account: Account):
    return account


@app.post("/form")
async def form(name: Annotated[str, Form()], file: UploadFile, more: Annotated[list[bytes], File()] = []):
    content = await file.read()
    return {
        "name": name,
        "file": file.filename,
        "type": file.content_type,
        "size": file.size,
        "sum": sum(content),
        "more": [len(it) for it in more],
    }


# jinja2: a page of files, of which one extends another.
templates = Jinja2Templates(directory="templates")


@app.get("/page/{name}")
def page(request: Request, name: str, count: int = 2):
    pets = [{"name": name, "price": 1234.5 * number} for number in range(count)]
    return templates.TemplateResponse(request, "pets.html", {"name": name, "pets": pets})


# itsdangerous, by way of Starlette's sessions.
@app.post("/session/{name}")
def remember(request: Request, name: str):
    request.session["name"] = name
    return name


@app.get("/session")
def remembered(request: Request):
    return request.session.get("name")


@app.delete("/session")
def forget(request: Request):
    request.session.clear()


# sse-starlette.
@app.get("/events")
async def events(count: int):
    async def each():
        for number in range(count):
            await asyncio.sleep(0.001)
            yield {"event": "tick", "id": str(number), "data": f"tick {number}\nof {count}"}

    return EventSourceResponse(each())


# websockets, as a client.
@app.get("/websockets")
async def spoken(url: str):
    async with websockets.connect(url, compression=None) as connection:
        await connection.send("grün")
        text = await connection.recv()
        await connection.send(b"x" * 70_000)
        length = len(await connection.recv())
        await (await connection.ping())
    return [text, length, connection.close_code]
