"""An SQLite database in /data, for tests: transactions that are ended, left, and interrupted."""

import asyncio
import os
import sqlite3
import sys


def database(timeout=5.0):
    connection = sqlite3.connect("/data/a.db", timeout=timeout)
    connection.execute("create table if not exists t (x, padding)")
    return connection


def counts(connection):
    pairs = connection.execute("select x, count(*) from t group by x").fetchall()
    check = connection.execute("pragma integrity_check").fetchone()[0]
    return f"{dict(pairs)} {check}"


async def answer(path, query):
    """Answers a path of its own, and is nothing for another."""
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
    return None
