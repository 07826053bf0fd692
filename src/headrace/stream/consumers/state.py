"""What a consumer has out, as a value: what an ack, a nack, a redelivery does to it. No I/O, no clock.

A turn takes the state as the database holds it (or as this process knows it to be), changes it here, and writes what
changed, all under the consumer's lock. Whoever holds the state as of the last turn's number holds it truly.
"""

import heapq
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

from headrace.stream.consumers.tokens import Delivery
from headrace.stream.filters import Filters

_PARTS = 1 << 16  # group ids of one turn
_GROUP = 1000  # messages of a group that no answer has formed
_GONE = 64  # so many moments of groups that are acked may be kept: with a wait of an hour they would be many
_PATIENT_NACKS = 2  # from the next one on, a nack without delay waits
_FIRST_WAIT = timedelta(seconds=1)

Action = Literal["ack", "nack", "extend", "term", "release"]


@dataclass(frozen=True, slots=True)
class Settings:
    """A consumer's settings in force. `max_deliver` -1: no end."""

    generation: int
    ack_wait: timedelta
    max_deliver: int
    max_ack_pending: int
    filters: Filters
    every: bool = False
    """Each event is delivered; of records only the newest version is."""


@dataclass(slots=True)
class Message:
    """A record that was handed out in version `idx`, or with the event `idx`, `count` times, and not acked.

    `waiting`: the first newer version or event of the record that the position has passed, 0 for none. What waits is
    delivered after the ack: of records the newest version, of events one after the other.
    """

    record_id: UUID
    idx: int
    count: int
    nacks: int
    waiting: int
    group: "Group"


@dataclass(slots=True, eq=False)
class Group:
    """Messages that were handed out by one turn and are due again at one moment: a row of `deliveries`."""

    group_id: int
    turn: int
    handed_out: bool
    due_at: datetime
    messages: dict[UUID, Message] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Settle:
    """What becomes of deliveries. `delay` is for a nack, `reason` for a term; `release` takes the delivery back."""

    action: Action
    deliveries: list[Delivery]
    delay: timedelta = timedelta(0)
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class DeadLetter:
    record_id: UUID
    idx: int
    deliveries: int
    reason: str | None


class State:
    """The state of one consumer as of turn `seq`, which has this `mark`: a turn that a crash took may have had the same
    number.

    `new`, `touched` and `dropped` are the groups that the turn under way has to write; `dead_letters` those it adds,
    `superseded` the records whose dead letter it takes away.
    """

    def __init__(
        self, settings: Settings, seq: int, mark: int, position: int, dead: int, groups: Iterable[Group]
    ) -> None:
        self.settings = settings
        self.seq = seq
        self.mark = mark
        self.position = position
        self.dead = dead
        self.messages: dict[UUID, Message] = {}
        self.due: dict[UUID, Message] = {}
        self.new: dict[int, Group] = {}
        self.touched: dict[int, Group] = {}
        self.dropped: set[int] = set()
        self.dead_letters: list[DeadLetter] = []
        self.superseded: list[UUID] = []
        self._groups: dict[int, Group] = {}
        self._ripening: list[tuple[datetime, int]] = []
        self._part = 0
        for group in groups:
            self._groups[group.group_id] = group
            self.messages.update(group.messages)
            heapq.heappush(self._ripening, (group.due_at, group.group_id))

    @property
    def turn(self) -> int:
        """The number of the turn under way."""
        return self.seq + 1

    @property
    def room(self) -> int:
        """How many new messages may be handed out beside those that are not acked."""
        return max(0, self.settings.max_ack_pending - len(self.messages))

    @property
    def room_again(self) -> int:
        """How many of those that are due: all, but where a replay, or a lower limit, has left more than may be out."""
        return max(0, min(len(self.due), self.settings.max_ack_pending - len(self.messages) + len(self.due)))

    @property
    def low_group(self) -> int:
        """No group has a lower id."""
        return next(iter(self._groups), self.turn * _PARTS)  # ids only grow, so the first is the lowest

    @property
    def changed(self) -> bool:
        return bool(self.new or self.touched or self.dropped or self.dead_letters or self.superseded)

    def written(self, position: int, mark: int) -> None:
        """The turn is committed."""
        self.seq += 1
        self.mark = mark
        self.position = position
        self._part = 0
        self.new, self.touched, self.dropped = {}, {}, set()
        self.dead_letters, self.superseded = [], []

    def ripen(self, now: datetime) -> None:
        """Let what is due by now stand in `due`, oldest first."""
        while self._ripening and self._ripening[0][0] <= now:
            _, group_id = heapq.heappop(self._ripening)
            if group := self._groups.get(group_id):
                self.due.update(group.messages)

    def next_due_at(self) -> datetime | None:
        """When the next message is due that is not due yet."""
        while self._ripening and self._ripening[0][1] not in self._groups:
            heapq.heappop(self._ripening)
        return self._ripening[0][0] if self._ripening else None

    def would_bury(self, settle: Settle) -> list[Message]:
        """The messages that `settle` would set aside, if they still are what the stream holds."""
        standing = filter(None, map(self._standing, settle.deliveries))
        if settle.action == "term":
            return list(standing)
        return [message for message in standing if self.exhausted(message)] if settle.action == "nack" else []

    def settle(self, settle: Settle, now: datetime, held: Mapping[UUID, int]) -> None:
        """Act on the deliveries that still stand: not acked, not delivered again, not voided by a reset. The others
        are left in peace: an ack that comes too late is no error.

        `held`: what would be handed out now for the records that this would set aside (`would_bury`); nothing for what
        is gone. Only what still stands is set aside: a purge takes messages away, be it that the record comes again.
        """
        moved: dict[tuple[int, bool, datetime], Group] = {}
        for delivery in settle.deliveries:
            message = self._standing(delivery)
            if message is None:
                continue
            if settle.action == "ack":
                self._ack(message, now, moved)
            elif settle.action == "term":
                self._term(message, settle.reason, now, moved, held.get(message.record_id))
            elif message.group.handed_out:
                if settle.action == "nack":
                    self._nack(message, settle.delay, now, moved, held.get(message.record_id))
                elif settle.action == "release":
                    message.count -= 1
                    self._move(message, 0, False, now, moved)
                else:
                    group = message.group
                    self._move(message, group.turn, True, now + self.settings.ack_wait, moved)

    def _standing(self, delivery: Delivery) -> Message | None:
        """The message whose last delivery this is."""
        message = self.messages.get(delivery.record_id)
        if (
            message is None
            or message.idx != delivery.idx
            or message.group.turn != delivery.turn
            or delivery.generation != self.settings.generation
        ):
            return None
        return message

    def exhausted(self, message: Message) -> bool:
        """Whether it was delivered as often as it may be."""
        return 0 < self.settings.max_deliver <= message.count and (self.settings.every or not message.waiting)

    def bury(self, message: Message, now: datetime) -> None:
        """To the dead letters, since it is exhausted. The record's next event, if one waits, is due then."""
        self._bury(message, f"not acked in {message.count} deliveries", now, {})

    def drop(self, message: Message) -> None:
        """Take the message away: it is acked, dead, no longer wanted, or comes again by the position."""
        self._leave_group(message)
        del self.messages[message.record_id]
        self.due.pop(message.record_id, None)

    def pass_newer(self, message: Message, idx: int) -> None:
        """The position passes a newer version, or another event, of a record that is not acked."""
        if not message.waiting:
            message.waiting = idx
            self._touch(message.group)

    def supersede(self, record_id: UUID) -> None:
        """A newer version of a record that was set aside is handed out, and takes the place of its dead letter."""
        self.superseded.append(record_id)
        self.dead -= 1

    def replay(self, dead: Iterable[tuple[UUID, int]], now: datetime) -> None:
        """Messages that were set aside are due again, as if never delivered. What has come back by itself stays."""
        group: Group | None = None
        for record_id, idx in dead:
            self.dead -= 1
            if record_id in self.messages:
                continue
            if group is None or len(group.messages) >= _GROUP:
                group = self._open(0, False, now)
            message = Message(record_id, idx, 0, 0, 0, group)
            self.messages[record_id] = group.messages[record_id] = message

    def hand_out(
        self, fresh: Iterable[tuple[UUID, int]], again: Iterable[tuple[Message, int, int]], now: datetime
    ) -> Group:
        """One answer: records in their version, and messages again, in the version given (that of before, or newer),
        with what then waits behind it."""
        group = self._open(self.turn, True, now + self.settings.ack_wait)
        for message, idx, waiting in again:
            self._leave_group(message)
            self.due.pop(message.record_id, None)
            same = message.idx == idx
            message.count = message.count + 1 if same else 1
            message.nacks = message.nacks if same else 0
            message.idx, message.waiting, message.group = idx, waiting, group
            group.messages[message.record_id] = message
        for record_id, idx in fresh:
            message = Message(record_id, idx, 1, 0, 0, group)
            self.messages[record_id] = group.messages[record_id] = message
        return group

    def _ack(self, message: Message, now: datetime, moved: dict[tuple[int, bool, datetime], Group]) -> None:
        if not message.waiting:
            self.drop(message)
            return
        if self.settings.every:
            message.idx = message.waiting
        message.count = message.nacks = 0
        self._move(message, 0, False, now, moved)  # of no turn: no token fits it

    def _term(
        self,
        message: Message,
        reason: str | None,
        now: datetime,
        moved: dict[tuple[int, bool, datetime], Group],
        held: int | None,
    ) -> None:
        if held is None:
            self.drop(message)
        elif held == message.idx and (self.settings.every or not message.waiting):
            self._bury(message, reason, now, moved)
        else:
            self._ack(message, now, moved)  # of a version set aside, the newer one would take the place at once

    def _nack(
        self,
        message: Message,
        delay: timedelta,
        now: datetime,
        moved: dict[tuple[int, bool, datetime], Group],
        held: int | None,
    ) -> None:
        if self.exhausted(message):
            if held is None:
                self.drop(message)
                return
            if held == message.idx:
                self._bury(message, f"not acked in {message.count} deliveries", now, moved)
                return
        if not delay:
            message.nacks += 1
            if message.nacks > _PATIENT_NACKS:
                doublings = min(message.nacks - _PATIENT_NACKS - 1, 20)
                delay = min(_FIRST_WAIT * (1 << doublings), self.settings.ack_wait)
        self._move(message, message.group.turn, False, now + delay, moved)

    def _bury(
        self,
        message: Message,
        reason: str | None,
        now: datetime,
        moved: dict[tuple[int, bool, datetime], Group],
    ) -> None:
        self.dead_letters.append(DeadLetter(message.record_id, message.idx, message.count, reason))
        self.dead += 1
        self._ack(message, now, moved)

    def _move(
        self,
        message: Message,
        turn: int,
        handed_out: bool,
        due_at: datetime,
        moved: dict[tuple[int, bool, datetime], Group],
    ) -> None:
        """To the group of what shares its fate in this settling."""
        key = (turn, handed_out, due_at)
        group = moved.get(key)
        if group is None:
            group = moved[key] = self._open(turn, handed_out, due_at)
        if message.group is group:  # named twice
            return
        self._leave_group(message)
        self.due.pop(message.record_id, None)
        message.group = group
        group.messages[message.record_id] = message

    def _open(self, turn: int, handed_out: bool, due_at: datetime) -> Group:
        group = Group(self.turn * _PARTS + self._part, turn, handed_out, due_at)
        self._part += 1
        self._groups[group.group_id] = self.new[group.group_id] = group
        heapq.heappush(self._ripening, (due_at, group.group_id))
        if len(self._ripening) > 2 * len(self._groups) + _GONE:
            self._ripening = [each for each in self._ripening if each[1] in self._groups]
            heapq.heapify(self._ripening)
        return group

    def _leave_group(self, message: Message) -> None:
        group = message.group
        del group.messages[message.record_id]
        if group.messages:
            self._touch(group)
            return
        del self._groups[group.group_id]
        self.touched.pop(group.group_id, None)
        if self.new.pop(group.group_id, None) is None:
            self.dropped.add(group.group_id)

    def _touch(self, group: Group) -> None:
        if group.group_id not in self.new:
            self.touched[group.group_id] = group
