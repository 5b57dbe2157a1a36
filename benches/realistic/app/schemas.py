"""What clients send and are sent."""

from datetime import datetime

from pydantic import BaseModel, ConfigDict, Field


class AuthorOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: int
    name: str


class BookOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: int
    title: str
    pages: int
    price: int
    author: AuthorOut


class OrderIn(BaseModel):
    book_id: int = Field(gt=0)
    quantity: int = Field(ge=1, le=100)
    customer: str = Field(min_length=1, max_length=80)


class OrderOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: int
    book_id: int
    quantity: int
    customer: str
    placed: datetime
