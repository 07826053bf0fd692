"""What the API's routes are given: the services of the process, and what it remembers for a moment."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from uuid import UUID

from starlette.requests import HTTPConnection

from headrace.api.allowances import Allowances
from headrace.api.background import Background
from headrace.api.brief import Brief
from headrace.control.consumers import Consumer
from headrace.control.syncs import Sync
from headrace.control.tokens import Principal
from headrace.db.pool import Database
from headrace.engine.transport import Transport
from headrace.engine.worker import Worker
from headrace.providers.kit import Provider
from headrace.settings import Settings
from headrace.stream.consumers.dispatcher import Dispatcher
from headrace.stream.wake import Wakeups
from headrace.vault.keys import Keyring


@dataclass
class Services:
    """Made by the composition of the process for `create_app`. `worker` is None in a process of role `api`."""

    settings: Settings
    db: Database
    keyring: Keyring
    providers: Mapping[str, Provider]
    wakeups: Wakeups
    dispatcher: Dispatcher
    transport: Transport
    worker: Worker | None
    callers: Brief[bytes, Principal] = field(default_factory=Brief)
    """Who a bearer token is, by its hash."""
    consumers: Brief[tuple[UUID, UUID], Consumer] = field(default_factory=Brief)
    """By organisation and id, for the consume routes."""
    syncs: Brief[tuple[UUID, UUID], Sync] = field(default_factory=Brief)
    """By organisation and id: the syncs of the records in an answer."""
    allowances: Allowances = field(init=False)
    """What is left of the limits of API tokens."""
    background: Background = field(default_factory=Background)
    """To be stopped with the app."""

    def __post_init__(self) -> None:
        self.allowances = Allowances(self.db)


def services_of(connection: HTTPConnection) -> Services:
    """The services of the app that was asked."""
    services: Services = connection.app.state.services
    return services
