"""Services that the application reaches over sockets, each by the library that people use for it. Where they are, and
by whom their certificates are issued, the environment says.
"""

import asyncio
import contextlib
import logging
import os
import smtplib
import socket
import ssl
import threading

import pg8000  # noqa: F401 (SQLAlchemy would import it for each request)
import pymysql
import redis
import redis.asyncio
import requests
from aiosmtplib import SMTP
from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from sqlalchemy.dialects.postgresql import pg8000 as dialect  # noqa: F401 (the same)
from sqlmodel import Session, create_engine, text

router = APIRouter()


class Failing(router.route_class):
    """Answers with what went wrong."""

    def get_route_handler(self):
        handler = super().get_route_handler()

        async def answer(request: Request):
            try:
                return await handler(request)
            except (OSError, redis.RedisError, pymysql.Error, RuntimeError, NotImplementedError, ssl.SSLError) as error:
                return JSONResponse({"error": type(error).__name__, "text": str(error)}, status_code=502)

        return answer


router.route_class = Failing


def authority():
    return os.environ["AUTHORITY"]


# PostgreSQL, by SQLAlchemy and pg8000.
def postgres(tls: bool):
    host, port = os.environ["POSTGRES"].rsplit(":", 1)
    arguments = {"ssl_context": ssl.create_default_context(cafile=authority()) if tls else False}
    url = f"postgresql+pg8000://tester:secret@{host}:{port}/postgres"
    return create_engine(url, connect_args=arguments)


@router.post("/rows/{number}")
def add_row(number: int, tls: bool = False):
    with Session(postgres(tls)) as session:
        session.execute(text("INSERT INTO pairs VALUES (:n, 'first')"), {"n": number})
        session.execute(text("INSERT INTO pairs VALUES (:n, 'second')"), {"n": number})
        session.commit()
    return number


@router.get("/postgres")
def ask_postgres(tls: bool = False):
    with Session(postgres(tls)) as session:
        return session.execute(text("SELECT ssl, version FROM pg_stat_ssl WHERE pid = pg_backend_pid()")).one()._asdict()


# Redis, by its own client, with threads and with asyncio.
@router.get("/redis")
def ask_redis(tls: bool = False):
    with redis.Redis.from_url(redis_url(tls), **trusting(tls)) as client:
        client.set("key", "value")
        pipe = client.pipeline()
        pipe.incr("count")
        pipe.get("key")
        return pipe.execute()[1]


@router.get("/redis-async")
async def ask_redis_async(tls: bool = False):
    async with redis.asyncio.Redis.from_url(redis_url(tls), **trusting(tls)) as client:
        await client.set("key", "other")
        found = await asyncio.gather(*(client.get("key") for _ in range(5)))
        return found[4]


def redis_url(tls):
    return f"rediss://{os.environ['REDIS_TLS']}" if tls else f"redis://{os.environ['REDIS']}"


def trusting(tls):
    return {"ssl_ca_certs": authority()} if tls else {}


# HTTPS, by requests, whose own authorities are the host's here.
@router.get("/requests")
def ask_by_requests(url: str, verify: str = ""):
    how = {"": True, "no": False}.get(verify, verify)
    return requests.get(url, verify=how, timeout=20).status_code


# Mail, of which only the beginning is spoken.
@router.get("/smtp")
def greet_by_smtplib(host: str, port: int):
    with smtplib.SMTP(host, port, timeout=20) as client:
        client.starttls(context=ssl.create_default_context(cafile=authority()))
        client.ehlo()
        return client.sock.version()


@router.get("/smtp-async")
async def greet_by_aiosmtplib(host: str, port: int):
    context = ssl.create_default_context(cafile=authority())
    async with SMTP(hostname=host, port=port, start_tls=True, tls_context=context) as client:
        return (await client.ehlo()).code


# Sockets themselves: what echoes is at this address.
@router.get("/socket")
def blocking(host: str, port: int):
    with socket.create_connection((host, port), timeout=20) as connection:
        connection.sendall(b"a line\n")
        return connection.makefile().readline()


@router.get("/streams")
async def streams(host: str, port: int):
    reader, writer = await asyncio.open_connection(host, port)
    writer.write(b"x" * 300_000)
    await writer.drain()
    length = len(await reader.readexactly(300_000))
    # What does not come is waited for, beside something else.
    waited = await asyncio.gather(late(reader), asyncio.sleep(0.05, "slept"))
    writer.close()
    await writer.wait_closed()
    return [length, *waited]


async def late(reader):
    with contextlib.suppress(TimeoutError):
        return str(await asyncio.wait_for(reader.read(1), 0.1))
    return "late"


@router.get("/datagrams")
async def datagrams(host: str, port: int):
    loop = asyncio.get_running_loop()
    came = loop.create_future()

    class Protocol(asyncio.DatagramProtocol):
        def datagram_received(self, data, address):
            came.set_result(data.decode())

    transport, _ = await loop.create_datagram_endpoint(Protocol, remote_addr=(host, port))
    transport.sendto(b"a datagram")
    try:
        return await asyncio.wait_for(came, 20)
    finally:
        transport.close()


@router.get("/server")
async def server():
    await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", 0)


# What takes the place of threads, and of what there is none.
@router.get("/threads")
def threads():
    found = []

    async def within():
        await asyncio.sleep(0.01)
        return "a loop in a thread"

    thread = threading.Thread(target=lambda: found.append(asyncio.run(within())))
    thread.start()
    thread.join()
    return [*found, thread.is_alive()]


@router.get("/refused/{what}")
def refused(what: str):
    if what == "daemon":
        threading.Thread(target=print, daemon=True).start()
    if what == "event":
        threading.Event().wait()
    if what == "subprocess":
        import subprocess

        subprocess.run(["ls"])
    if what == "process":
        import multiprocessing

        multiprocessing.Process(target=print).start()


@router.get("/log")
def log():
    logging.getLogger("shop.orders").warning("stock is low")
    logging.getLogger("shop.orders").error("stock is out")
    return "logged"
