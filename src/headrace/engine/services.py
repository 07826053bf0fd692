"""What the engine's parts are given: one value, made by the composition of the process, handed down and never reached
for."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from uuid import UUID

from headrace.clock import Clock
from headrace.db.pool import Database
from headrace.engine.activity import Activity
from headrace.engine.pace import Pace
from headrace.engine.transport import Transport
from headrace.providers.kit import Provider
from headrace.settings import Settings
from headrace.stream.wake import Wakeups
from headrace.vault.keys import Keyring


@dataclass(frozen=True, slots=True)
class EngineServices:
    """The services of one process. `clock` is the database's (`db.clock`); `worker_id` names this process in leases,
    permits and heartbeats, and is new at every start. `activity` is told what was done, for people who look."""

    db: Database
    keyring: Keyring
    providers: Mapping[str, Provider]
    settings: Settings
    clock: Clock
    wakeups: Wakeups
    transport: Transport
    pace: Pace
    worker_id: UUID
    activity: Activity = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "activity", Activity(self.clock))
