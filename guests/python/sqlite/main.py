"""An ASGI application on an SQLite database in /data: transactions that are ended, left, and interrupted."""

import asyncio
import os
import sqlite3
import sys
from urllib.parse import parse_qs


def database(timeout=5.0):
    connection = sqlite3.connect("/data/a.db", timeout=timeout)
    connection.execute("create table if not exists t (x, padding)")
    return connection


def counts(connection):
    pairs = connection.execute("select x, count(*) from t group by x").fetchall()
    check = connection.execute("pragma integrity_check").fetchone()[0]
    return f"{dict(pairs)} {check}"


async def answer(path, query):
    if path == "/insert":
        with database() as connection:
            connection.execute("insert into t values (1, '')")
        connection.close()
        return "inserted"
    if path == "/count":
        connection = database()
        return counts(connection)
    if path == "/hold":
        # Pages that do not fit into the cache are in the file before the transaction ends.
        connection = database()
        connection.execute("pragma cache_size = 5")
        connection.execute("begin immediate")
        for _ in range(400):
            connection.execute("insert into t values (2, ?)", ("x" * 1000,))
        connection.execute("update t set padding = 'spoiled' where x = 1")
        print("holds the lock", file=sys.stderr, flush=True)
        how = query.get("how", ["wait"])[0]
        if how == "wait":
            await asyncio.sleep(60)
        if how == "trap":
            os.abort()
        if how == "leave":
            # Returns with the transaction open.
            global kept
            kept = connection
            return "left"
        if how == "spin":
            while True:
                pass
        return "held"
    if path == "/two":
        # Two connections of one instance exclude each other, too.
        one, two = database(0.1), database(0.1)
        one.execute("begin immediate")
        try:
            two.execute("begin immediate")
        except sqlite3.OperationalError as error:
            return str(error)
        return "both"
    return "nothing"


async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    try:
        text, status = await answer(scope["path"], parse_qs(scope["query_string"].decode())), 200
    except sqlite3.Error as error:
        text, status = repr(error), 500
    headers = [(b"content-type", b"text/plain")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": text.encode()})
