"""Orders are placed and looked up."""

from fastapi import APIRouter, HTTPException, status

from ..dependencies import Database
from ..models import Book, Order
from ..schemas import OrderIn, OrderOut

router = APIRouter(prefix="/orders", tags=["orders"])


@router.post("", status_code=status.HTTP_201_CREATED)
def place(order: OrderIn, database: Database) -> OrderOut:
    if database.get(Book, order.book_id) is None:
        raise HTTPException(404, "there is no such book")
    placed = Order(**order.model_dump())
    database.add(placed)
    database.commit()
    return placed


@router.get("/{number}")
def one_order(number: int, database: Database) -> OrderOut:
    order = database.get(Order, number)
    if order is None:
        raise HTTPException(404, "there is no such order")
    return order
