"""The database: a file of SQLite unless the environment says otherwise, with its tables and first rows."""

import os
from collections.abc import Iterator

from sqlalchemy import create_engine, func, select
from sqlalchemy.orm import Session, sessionmaker

from .models import Author, Base, Book

URL = "sqlite:///shop.db"
sessions = sessionmaker(expire_on_commit=False)


def prepare() -> None:
    """Connects, makes the tables where there are none, and fills an empty one."""
    engine = create_engine(os.environ.get("DATABASE_URL", URL), connect_args={"check_same_thread": False, "timeout": 30})
    sessions.configure(bind=engine)
    Base.metadata.create_all(engine)
    with sessions() as session:
        if session.scalar(select(func.count()).select_from(Book)):
            return
        for number in range(20):
            author = Author(name=f"Author {number}")
            author.books = [
                Book(title=f"Book {number}.{volume}", pages=100 + 7 * volume, price=990 + volume) for volume in range(10)
            ]
            session.add(author)
        session.commit()


def open_session() -> Iterator[Session]:
    with sessions() as session:
        yield session
