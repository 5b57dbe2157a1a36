"""Pages for people, who may say what they are called."""

from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Form, Request
from fastapi.responses import HTMLResponse, RedirectResponse
from fastapi.templating import Jinja2Templates
from sqlalchemy import select
from sqlalchemy.orm import joinedload

from ..dependencies import Database, PageOf, Visitor
from ..models import Book

router = APIRouter(include_in_schema=False)
templates = Jinja2Templates(directory=Path(__file__).parent.parent / "templates")


@router.get("/", response_class=HTMLResponse)
def shelf(request: Request, database: Database, page: PageOf, visitor: Visitor):
    query = select(Book).options(joinedload(Book.author)).order_by(Book.title)
    books = database.scalars(query.limit(page.limit).offset(page.offset)).all()
    return templates.TemplateResponse(request, "shelf.html", {"books": books, "visitor": visitor})


@router.post("/name")
def name(request: Request, name: Annotated[str, Form(max_length=80)]):
    request.session["name"] = name
    return RedirectResponse("/", 303)
