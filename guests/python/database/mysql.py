"""MySQL and MariaDB, by PyMySQL: through SQLAlchemy, and alone."""

import os

import pymysql
from fastapi import APIRouter
from sqlalchemy import create_engine, text
from sqlalchemy.dialects.mysql import pymysql as dialect  # noqa: F401 (SQLAlchemy would import it for each request)
from sqlalchemy.orm import Session

from services import Failing, authority

router = APIRouter(prefix="/mysql", route_class=Failing)


def place():
    host, port = os.environ["MYSQL"].rsplit(":", 1)
    return host, int(port)


def engine(tls: bool):
    host, port = place()
    # Without `ssl_ca` it would speak TLS where the server does, and believe every certificate.
    how = f"ssl_ca={authority()}" if tls else "ssl_disabled=true"
    return create_engine(f"mysql+pymysql://tester:secret@{host}:{port}/shop?charset=utf8mb4&{how}")


def connected(tls: bool, password: str = "secret"):
    host, port = place()
    how = {"ssl_ca": authority(), "ssl_verify_identity": True} if tls else {"ssl_disabled": True}
    return pymysql.connect(host=host, port=port, user="tester", password=password, database="shop", **how)


@router.post("/rows/{number}")
def add_row(number: int, tls: bool = False, alone: bool = False):
    statement = "INSERT INTO pairs VALUES (%s, %s)"
    if alone:
        with connected(tls) as connection, connection.cursor() as cursor:
            cursor.execute(statement, (number, "first"))
            cursor.execute(statement, (number, "second"))
            connection.commit()
    else:
        with Session(engine(tls)) as session:
            session.execute(text("INSERT INTO pairs VALUES (:n, 'first')"), {"n": number})
            session.execute(text("INSERT INTO pairs VALUES (:n, 'second')"), {"n": number})
            session.commit()
    return number


@router.get("")
def ask(tls: bool = False, alone: bool = False):
    """The version of TLS, and values as they come back."""
    values = "SELECT 'ü🎉', 12.50, DATE '2020-02-29', X'00FF', NULL, JSON_OBJECT('a', 1)"
    if alone:
        with connected(tls) as connection, connection.cursor() as cursor:
            cursor.execute("SHOW STATUS LIKE 'Ssl_version'")
            version = cursor.fetchone()[1]
            cursor.execute(values)
            row = cursor.fetchone()
    else:
        with engine(tls).connect() as connection:
            version = connection.exec_driver_sql("SHOW STATUS LIKE 'Ssl_version'").one()[1]
            row = connection.exec_driver_sql(values).one()
    return [version, [repr(value) for value in row]]


@router.get("/refused")
def refused(tls: bool = False):
    connected(tls, password="wrong")
