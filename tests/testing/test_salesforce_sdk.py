"""simple-salesforce, which is not ours, reads the server: every row, deleted ones, describe, the logs, query jobs."""

import asyncio
import csv
import io
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests
from requests.adapters import HTTPAdapter
from simple_salesforce import Salesforce
from simple_salesforce.exceptions import SalesforceExpiredSession, SalesforceMalformedRequest

from headrace.testing.salesforce import SalesforceServer


class Plain(HTTPAdapter):
    """The SDK knows https alone; the server on loopback speaks http."""

    def send(self, request: Any, *args: Any, **kwargs: Any) -> Any:
        request.url = request.url.replace("https://", "http://", 1)
        return super().send(request, *args, **kwargs)


def client(server: SalesforceServer) -> Salesforce:
    session = requests.Session()
    session.mount("https://", Plain())
    return Salesforce(instance_url=server.base_url, session_id=server.session(), version="65.0", session=session)


async def test_queries_see_every_row_and_deleted_ones_where_asked() -> None:
    async with SalesforceServer({"Account": 4_321}) as server:
        org, sf = server.org, client(server)
        gone = next(org.alive("Account"))["Id"]
        org.delete("Account", gone)

        def read() -> tuple[Any, Any]:
            soql = "SELECT Id, Name FROM Account"
            return sf.query_all(soql), sf.query_all(soql, include_deleted=True)

        alive, all_ = await asyncio.to_thread(read)
        assert {row["Id"] for row in alive["records"]} == {row["Id"] for row in org.alive("Account")}
        assert {row["Id"] for row in all_["records"]} == org.tables["Account"].rows.keys()
        assert alive["totalSize"] == 4_320
        assert len(server.log.find("*/query/01g*")) == 2 * 2


async def test_describe_and_the_logs_of_changes() -> None:
    async with SalesforceServer({"Contact": 20}) as server:
        org, sf = server.org, client(server)
        gone, changed, *_ = (row["Id"] for row in org.alive("Contact"))
        org.delete("Contact", gone)
        org.update("Contact", changed, {"Name": "Ada"})
        end = datetime.fromtimestamp(server.clock.now(), UTC) + timedelta(minutes=2)
        start = end - timedelta(minutes=5)

        def read() -> tuple[Any, ...]:
            one = sf.Contact.get(changed)
            return (
                sf.describe(),
                sf.Contact.describe(),
                sf.Contact.deleted(start, end),
                sf.Contact.updated(start, end),
                one,
            )

        all_, described, deleted, updated, one = await asyncio.to_thread(read)
        assert {each["name"] for each in all_["sobjects"]} == org.tables.keys()
        assert [each["name"] for each in described["fields"]] == list(org.tables["Contact"].fields)
        assert [each["id"] for each in deleted["deletedRecords"]] == [gone]
        assert updated["ids"] == [changed]
        assert (one["Name"], one["MailingAddress"]["city"]) == (
            "Ada",
            org.tables["Contact"].rows[changed]["MailingCity"],
        )


async def test_query_jobs_see_every_row() -> None:
    async with SalesforceServer({"Invoice__c": 1_234}) as server:
        sf = client(server)

        def read() -> str:
            pieces = sf.bulk2.Invoice__c.query_all("SELECT Id, Total__c FROM Invoice__c", max_records=500)
            return "".join(piece if n == 0 else piece.partition("\n")[2] for n, piece in enumerate(pieces))

        rows = list(csv.DictReader(io.StringIO(await asyncio.to_thread(read))))
        assert {row["Id"] for row in rows} == {row["Id"] for row in server.org.alive("Invoice__c")}
        assert len(server.log.find("*/results", status=200)) == 3


async def test_errors_are_those_that_the_sdk_knows() -> None:
    async with SalesforceServer(10) as server:
        sf = client(server)
        with pytest.raises(SalesforceMalformedRequest, match="INVALID_FIELD"):
            await asyncio.to_thread(sf.query, "SELECT Colour FROM Account")
        server.end_sessions()
        with pytest.raises(SalesforceExpiredSession, match="INVALID_SESSION_ID"):
            await asyncio.to_thread(sf.query, "SELECT Id FROM Account")
