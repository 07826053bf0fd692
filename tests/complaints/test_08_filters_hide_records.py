"""Complaint 8: the provider's list leaves out what is cancelled or archived, and so does the copy."""

import orjson
from holding import holding_at

from headrace.db.pool import Database
from headrace.providers.stripe import STRIPE
from headrace.providers.stripe.access import KEY
from headrace.testing.stripe import StripeServer


async def test_inactive_products_and_canceled_subscriptions_are_copied(db: Database) -> None:
    async with StripeServer({"customers": 10, "products": 30, "prices": 30, "subscriptions": 30}) as server:
        account = server.account
        for name in list(account.ids("products"))[:3]:
            account.update("products", name, {"active": False})
        for name in list(account.ids("subscriptions"))[:3]:
            account.delete("subscriptions", name)
        wanted = {"stripe:product": "products", "stripe:subscription": "subscriptions"}
        properties = {"secret": "sk_test_51", "test": True, "name": "x"}
        server.faults.add("short_horizon", horizon_s=0)  # no event tells of them: the lists have to
        async with holding_at(db, server.base_url, wanted, STRIPE, KEY, properties) as held:
            await held.start()
            await held.read_to_the_end()
            for collection, name in wanted.items():
                assert (await held.copy(collection)).keys() == set(account.ids(name))
            products = (await held.copy("stripe:product")).values()
            assert sum(product["active"] is False for product in products) >= 3
            canceled = [orjson.loads(account.raw("subscriptions", n))["status"] for n in range(30)].count("canceled")
            subscriptions = (await held.copy("stripe:subscription")).values()
            assert sum(each["status"] == "canceled" for each in subscriptions) == canceled >= 3
