"""What routes ask for in their parameters."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Query, Request
from sqlalchemy.orm import Session

from .database import open_session


@dataclass
class Page:
    limit: int
    offset: int


def page(limit: Annotated[int, Query(ge=1, le=100)] = 20, offset: Annotated[int, Query(ge=0)] = 0) -> Page:
    return Page(limit, offset)


def visitor(request: Request) -> str:
    return request.session.get("name", "stranger")


Database = Annotated[Session, Depends(open_session)]
PageOf = Annotated[Page, Depends(page)]
Visitor = Annotated[str, Depends(visitor)]
