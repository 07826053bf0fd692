"""Linear's connector reads whatever Linear's own schema lets an answer be: every query is executed on that schema, over
HTTP, once with a value everywhere and once with as few as the schema allows."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta

import jsonschema
import orjson
import pytest
from typed_linear import COUNT, PAGE, SCHEMA, START, TOMORROWS, Density, Json, TypedLinear

from headrace.clock import micros
from headrace.providers.kit import EVERYTHING, Collection, Cursor, Delete, Item, PageFunction, Record, Window
from headrace.providers.linear import LINEAR
from headrace.providers.linear.types import TYPES
from headrace.testing.driver import Driver

pytestmark = pytest.mark.skipif(not SCHEMA.is_file(), reason="Linear's schema is not there")
FIELDS = {listed.collection: listed.field for listed in TYPES}
DENSITIES: tuple[Density, ...] = ("full", "sparse")
FORMATS = jsonschema.Draft202012Validator.FORMAT_CHECKER


@asynccontextmanager
async def world(density: Density) -> AsyncIterator[tuple[TypedLinear, Driver]]:
    async with TypedLinear(density) as server:
        properties = {"key": "lin_api_headraceTests", "base_url": server.base_url}
        async with Driver(LINEAR, "linear_key", properties) as driver:
            yield server, driver


async def read(driver: Driver, function: PageFunction, collection: Collection, window: Window) -> list[list[Item]]:
    """The items of each page of a window."""
    pages: list[list[Item]] = []
    cursor: Cursor | None = None
    while not pages or cursor is not None:
        page = await driver.page(function, [collection.id], window, cursor)
        pages.append(list(page.items))
        cursor = page.next
        assert len(pages) <= COUNT
    return pages


def sizes(collection: Collection) -> list[int]:
    """How many objects each page of everything has."""
    (listed,) = (each for each in TYPES if each.collection == collection.id)
    return [1] if listed.single else [COUNT] if listed.whole else [PAGE, PAGE, COUNT - 2 * PAGE]


def records(items: list[Item]) -> list[Record]:
    assert all(isinstance(item, Record) for item in items), "what is archived or in the trash is there"
    return [item for item in items if isinstance(item, Record)]


def as_asked(sent: object, held: object) -> bool:
    """Whether what came is what the server holds, as far as it was asked for."""
    if isinstance(sent, dict) and isinstance(held, dict):
        return all(name in held and as_asked(value, held[name]) for name, value in sent.items())
    if isinstance(sent, list) and isinstance(held, list):
        return len(sent) == len(held) and all(map(as_asked, sent, held))
    return sent == held


def check(collection: Collection, record: Record, held: Json) -> None:
    """The record is the object: its id, its times, its version, its fields, in the shape that `schema` promises."""
    data = orjson.loads(record.raw)
    moment = datetime.fromisoformat(held["updatedAt"])
    assert (record.id, record.updated, record.version) == (held["id"], moment, micros(moment))
    assert record.created == datetime.fromisoformat(held["createdAt"])
    assert data.keys() == collection.schema()["properties"].keys()
    assert as_asked(data, held)
    jsonschema.Draft202012Validator(dict(collection.schema()), format_checker=FORMATS).validate(data)


@pytest.mark.parametrize("density", DENSITIES)
async def test_every_object_of_every_list_arrives_once_and_as_it_is(density: Density) -> None:
    async with world(density) as (server, driver):
        for collection in LINEAR.collections:
            assert collection.listing is not None
            held = {each["id"]: each for each in server.held[FIELDS[collection.id]]}
            pages = await read(driver, collection.listing.page, collection, EVERYTHING)
            assert [len(page) for page in pages] == sizes(collection)
            found = records([item for page in pages for item in page])
            assert [record.id for record in found] == list(held), collection.id
            for record in found:
                check(collection, record, held[record.id])
            values = collection.schema()["properties"].values()
            enumerated = any("examples" in value for value in values) and density == "full"
            assert not enumerated or any(TOMORROWS.encode() in record.raw for record in found), collection.id


@pytest.mark.parametrize("density", DENSITIES)
async def test_the_changes_of_a_window_are_those_within_it(density: Density) -> None:
    window = Window(START + timedelta(minutes=1), START + timedelta(minutes=4))
    async with world(density) as (server, driver):
        for collection in LINEAR.collections:
            held = {each["id"]: each for each in server.held[FIELDS[collection.id]]}
            pages = await read(driver, collection.changes[0].page, collection, window)
            found = records([item for page in pages for item in page])
            assert [record.id for record in found] == list(held)[1:4], collection.id
            for record in found:
                check(collection, record, held[record.id])


@pytest.mark.parametrize("density", DENSITIES)
async def test_an_object_asked_for_by_its_id_is_the_one_of_the_list(density: Density) -> None:
    async with world(density) as (server, driver):
        for collection in LINEAR.collections:
            if collection.fetch is None:
                continue
            for held in server.held[FIELDS[collection.id]]:
                page = await driver.again(lambda c=collection, h=held: c.fetch.page(driver.context(), h["id"], None))  # type: ignore[misc]
                (record,) = records(list(page.items))
                check(collection, record, held)
            page = await driver.again(lambda c=collection: c.fetch.page(driver.context(), "nobody", None))  # type: ignore[misc]
            (gone,) = page.items
            assert isinstance(gone, Delete)
            assert (gone.collection, gone.id) == (collection.id, "nobody")


async def test_whose_key_it_is_is_asked_of_the_same_schema() -> None:
    async with world("full") as (_, driver):
        assert (await driver.verify()).id
