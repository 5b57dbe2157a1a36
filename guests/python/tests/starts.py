"""What a start leaves to the requests after it, for tests."""

import asyncio
import os
import random
import socket
import sqlite3
import sys
import time

requests, kept = 0, {"starts": 0}


async def start(state):
    mode = os.environ.get("MODE", "")
    if mode == "fail":
        raise RuntimeError("the database is away")
    if mode == "open":
        kept["file"] = open("/data/open.txt", "w")
    if mode == "connect":
        connect()
    if mode == "note":
        with open("/data/starts.txt", "a") as file:
            file.write("started\n")
        connection = sqlite3.connect("/data/test.db")
        with connection:
            connection.execute("CREATE TABLE IF NOT EXISTS t (n)")
        connection.close()
    await asyncio.sleep(0.01)
    kept["starts"] += 1
    state["drawn"] = random.random()
    kept["background"] = asyncio.create_task(asyncio.sleep(3600))
    print("the model is loaded", file=sys.stderr)


def connect():
    """Asks a server over a socket, and leaves none open."""
    host, port = os.environ["PEER"].split(":")
    with socket.create_connection((host, int(port))) as peer:
        peer.sendall(b"ping")
        return peer.recv(4).decode()


def answer(path, state):
    """Answers a path of its own, and is nothing for another."""
    if path == "/stored":
        with sqlite3.connect("/data/test.db") as connection:
            connection.execute("INSERT INTO t VALUES (1)")
            return str(connection.execute("SELECT count(*) FROM t").fetchone()[0])
    if path == "/connected":
        return connect()
    if path == "/started":
        print("asked for", path)
        return f"{requests} {kept['starts']} {state['drawn']} {random.random()} {time.monotonic()}"
    return None
