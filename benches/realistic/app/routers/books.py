"""Books, as JSON."""

from fastapi import APIRouter, HTTPException
from sqlalchemy import select
from sqlalchemy.orm import joinedload

from ..dependencies import Database, PageOf
from ..models import Book
from ..schemas import BookOut

router = APIRouter(prefix="/books", tags=["books"])


@router.get("")
def list_books(database: Database, page: PageOf) -> list[BookOut]:
    query = select(Book).options(joinedload(Book.author)).order_by(Book.id)
    return database.scalars(query.limit(page.limit).offset(page.offset)).all()


@router.get("/{number}")
def one_book(number: int, database: Database) -> BookOut:
    book = database.get(Book, number, options=[joinedload(Book.author)])
    if book is None:
        raise HTTPException(404, "there is no such book")
    return book
