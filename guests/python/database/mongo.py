"""MongoDB, by pymongo, blocking and with asyncio. The clients are made once, as pymongo's documentation says; each
request's instance begins with them, and finds the server again.
"""

import asyncio
import os
import tempfile
from functools import cache

import pymongo
from bson import ObjectId
from fastapi import APIRouter
from pymongo.errors import PyMongoError

router = APIRouter(prefix="/mongo")

SOON = {"serverSelectionTimeoutMS": 20_000}


@cache
def client():
    return pymongo.MongoClient(os.environ["MONGO"], **SOON)


@cache
def client_async():
    return pymongo.AsyncMongoClient(os.environ["MONGO"], **SOON)


@router.post("/rows/{number}")
def add_row(number: int):
    return client().shop.rows.insert_one({"number": number}).acknowledged


@router.post("/rows-async/{number}")
async def add_row_async(number: int):
    return (await client_async().shop.rows.insert_one({"number": number})).acknowledged


@router.get("/rows")
def rows():
    return sorted(it["number"] for it in client().shop.rows.find({}, batch_size=7))


PET = {"_id": ObjectId("0123456789abcdef01234567"), "name": "ü🎉", "price": 12.5, "toys": [{"n": 1}, None]}
CHANGE = {"$set": {"name": "Rex"}, "$push": {"toys": {"n": 2}}}
COUNT = [{"$match": {"name": "Rex"}}, {"$group": {"_id": None, "n": {"$sum": 1}}}]


@router.get("/pets")
def pets():
    pets = client().shop.pets
    pets.drop()
    found = [str(pets.insert_one(PET).inserted_id)]
    try:
        pets.insert_one(PET)
    except PyMongoError as error:
        found.append(type(error).__name__)
    found.append(pets.update_one({"toys.n": 1}, CHANGE).modified_count)
    found.append(repr(pets.find_one({"name": "Rex"})))
    found += list(pets.aggregate(COUNT))
    with client().start_session() as session, session.start_transaction():
        pets.insert_one({"name": "Tom"}, session=session)
        pets.delete_one({"name": "Rex"}, session=session)
    return [*found, pets.distinct("name")]


@router.get("/pets-async")
async def pets_async():
    pets = client_async().shop.pets_async
    await pets.drop()
    found = [str((await pets.insert_one(PET)).inserted_id)]
    found.append((await pets.update_one({"toys.n": 1}, CHANGE)).modified_count)
    found.append(repr(await pets.find_one({"name": "Rex"})))
    found += [it async for it in await pets.aggregate(COUNT)]
    several = await asyncio.gather(*(pets.count_documents({"name": name}) for name in ("Rex", "Tom")))
    return [*found, several]


@router.get("/away")
def away():
    try:
        return pymongo.MongoClient("mongodb://127.0.0.1:1", serverSelectionTimeoutMS=1200).shop.pets.find_one()
    except PyMongoError as error:
        return type(error).__name__


@router.get("/drawn")
def drawn():
    """What must be different in each instance: both are drawn once for a process."""
    return [str(ObjectId()), next(tempfile._get_candidate_names())]
