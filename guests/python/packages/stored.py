"""What is kept and read: SQLAlchemy, Alembic, PyYAML, Beautiful Soup, and boto3 with a store of objects elsewhere."""

import io
from datetime import date
from decimal import Decimal

import alembic.command
import bs4
import sqlalchemy as sa
import yaml
from alembic.config import Config
from alembic.script import ScriptDirectory
from fastapi import APIRouter, Request
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, relationship, selectinload

router = APIRouter()


# SQLAlchemy, on SQLite in memory.
class Base(DeclarativeBase):
    pass


class Owner(Base):
    __tablename__ = "owners"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(sa.String(20), unique=True)
    pets: Mapped[list["Pet"]] = relationship(back_populates="owner", cascade="all, delete-orphan")


class Pet(Base):
    __tablename__ = "pets"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    born: Mapped[date]
    price: Mapped[Decimal] = mapped_column(sa.Numeric(10, 2))
    more: Mapped[dict] = mapped_column(sa.JSON, default=dict)
    owner_id: Mapped[int] = mapped_column(sa.ForeignKey("owners.id"))
    owner: Mapped[Owner] = relationship(back_populates="pets")


@router.get("/sqlalchemy")
def rows(name: str):
    engine = sa.create_engine("sqlite://")
    Base.metadata.create_all(engine)
    with Session(engine) as session:
        rex = Pet(name="Rex", born=date(2020, 2, 29), price=Decimal("10.50"), more={"a": [1, None]})
        session.add(Owner(name=name, pets=[rex, Pet(name="Tom", born=date(2021, 1, 1), price=Decimal(3))]))
        session.commit()
        session.add(Owner(name=name))
        try:
            session.commit()
            error = None
        except sa.exc.IntegrityError as raised:
            session.rollback()
            error = str(raised.orig)
        asked = sa.select(Owner).where(Owner.name.ilike(f"%{name}%")).options(selectinload(Owner.pets))
        owner = session.scalars(asked).one()
        pets = [[pet.name, pet.born, pet.price, pet.more, pet.owner.id] for pet in owner.pets]
        total = session.execute(sa.select(sa.func.count(), sa.func.sum(Pet.price)).select_from(Pet)).one()
        session.delete(owner)
        session.flush()
        left = session.scalar(sa.select(sa.func.count()).select_from(Pet))
    return {"pets": pets, "total": list(total), "error": error, "left": left}


# Alembic, with an environment as `alembic init` makes it.
@router.get("/alembic")
def migrate(to: str = "head"):
    written = io.StringIO()
    config = Config("alembic.ini", output_buffer=written, stdout=written)
    engine = sa.create_engine("sqlite://", poolclass=sa.StaticPool)
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        try:
            alembic.command.upgrade(config, to)
        except alembic.util.CommandError as error:
            return str(error)
        alembic.command.current(config)
        tables = {
            table: [column["name"] for column in sa.inspect(connection).get_columns(table)]
            for table in sa.inspect(connection).get_table_names()
        }
        revisions = [it.revision for it in ScriptDirectory.from_config(config).walk_revisions()]
        if to == "head":
            alembic.command.downgrade(config, "-1")
            alembic.command.current(config)
    return {"tables": tables, "revisions": revisions, "said": written.getvalue()}


# PyYAML.
@router.post("/yaml")
async def documents(request: Request):
    try:
        read = list(yaml.safe_load_all(await request.body()))
    except yaml.YAMLError as error:
        return {"error": str(error)}
    return {"read": [repr(it) for it in read], "written": yaml.safe_dump_all(read, allow_unicode=True, sort_keys=False)}


# Beautiful Soup.
@router.post("/soup")
async def soup(request: Request):
    page = bs4.BeautifulSoup(await request.body(), "html.parser")
    links = {a.get_text(strip=True): a["href"] for a in page.select("ul > li a[href]:not(.ad)")}
    for script in page(["script", "style"]):
        script.decompose()
    return [page.title and page.title.string, links, page.original_encoding, page.get_text(" ", strip=True), str(page)]


# boto3, asked for objects of a store that speaks as S3 does. It is imported where it is needed, as a component may take
# only so much memory before.
def store(url: str):
    import boto3
    from botocore.config import Config as How

    how = How(retries={"total_max_attempts": 2}, s3={"addressing_style": "path"}, connect_timeout=5, read_timeout=20)
    keys = {"aws_access_key_id": "AKIDEXAMPLE", "aws_secret_access_key": "secret"}
    return boto3.client("s3", endpoint_url=url, region_name="eu-west-1", config=how, **keys)


@router.post("/boto3")
async def put(request: Request, url: str, key: str):
    from botocore.exceptions import BotoCoreError, ClientError

    client = store(url)
    body = await request.body()
    try:
        put = client.put_object(Bucket="pets", Key=key, Body=body, Metadata={"kind": "dog"})
        client.upload_fileobj(io.BytesIO(body), "pets", f"{key}-uploaded")
        got = client.get_object(Bucket="pets", Key=key)
        content = got["Body"].read()
        again = io.BytesIO()
        client.download_fileobj("pets", f"{key}-uploaded", again)
        pages = client.get_paginator("list_objects_v2").paginate(Bucket="pets", Prefix=key)
        listed = [[it["Key"], it["Size"], it["LastModified"].isoformat()] for page in pages for it in page["Contents"]]
    except (ClientError, BotoCoreError) as error:
        return {"error": type(error).__name__, "said": str(error).replace(url, "URL")}
    return {
        "tag": put["ETag"], "same": content == body, "kind": got["Metadata"], "again": again.getvalue() == body, "listed": listed,
    }  # fmt: skip


@router.get("/boto3/signed")
def signed(key: str):
    url = store("https://objects.example").generate_presigned_url("get_object", {"Bucket": "pets", "Key": key}, ExpiresIn=60)
    return [word.split("=")[0] for word in url.split("&")]
