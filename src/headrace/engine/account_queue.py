"""The requests of one account that wait in this process, and how they come by their slots.

One task, alive while anybody waits, asks the ledger for the next few in one transaction. A request whose turn cannot
come within its horizon takes nothing and is asked for again when it can: so nothing is given out far ahead, and a
changed limit, a refusal, or a more pressing request counts at once.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

import structlog

from headrace.clock import DatabaseClock, from_unix
from headrace.engine import metrics
from headrace.engine.bucket import Ask, BucketKey, Charge, Later, Slot
from headrace.engine.ledger import Ledger
from headrace.engine.limits import ALL, Counted
from headrace.engine.outage import OUTAGE
from headrace.engine.precedence import FLOOR, FairQueue, Priority
from headrace.engine.shares import Shares
from headrace.errors import HeadraceError

log = structlog.get_logger(__name__)

HORIZON_S = {
    Priority.MUTATION: 0.25,
    Priority.CHANGES: 0.2,
    Priority.REPAIR: 0.175,
    Priority.SWEEP: 0.175,
    Priority.BACKFILL: 0.15,
}
"""How far ahead slots are taken. Processes that have more pressing requests get theirs first, since they reach farther
(of repairs and sweeps neither does); a priority that has had none of the same slots in this process for a while reaches
as far as all, for one request."""
YIELDS_S = 0.025
"""So much less far one reaches whose syncs have had more turns than those of another process, but no less far than the
next lower priority that reaches less."""
_STARVED_S = 1.0
_SHARED_EVERY_S = 0.5
_MOST_ASKS = 64
_MOST_AHEAD = 48
_LIVELY_S = 0.25
_PATIENCE_S = 60.0
_LONGEST_PAUSE_S = 30.0
_LANE_KEPT_S = 10.0
_DATABASE_AWAY_S = 0.5


class Blocked(HeadraceError):
    """The provider told us to wait for longer than a request is kept waiting."""

    status = 503

    def __init__(self, until: datetime) -> None:
        super().__init__(f"the provider has asked for a pause until {until:%Y-%m-%d %H:%M:%S} UTC")
        self.until = until


LaneKey = tuple[tuple[Charge, ...], tuple[Charge, ...]]


@dataclass(slots=True)
class _Lane:
    """Requests that are counted alike. `stock` are slots taken ahead for those expected; `ahead` is how many to take:
    it grows while they are used and shrinks when they lapse. What each priority was told when it got no slot: `begins`
    is when one may begin, `not_before` until when the provider forbids it."""

    stock: deque[Slot] = field(default_factory=deque)
    begins: dict[Priority, float] = field(default_factory=dict)
    not_before: dict[Priority, float] = field(default_factory=dict)
    ahead: int = 0
    lapsed: bool = False
    last_used: float = 0.0

    def take(self, now: float) -> Slot | None:
        while self.stock and self.stock[0].ends < now:
            if not self.stock.popleft().open:
                self.ahead //= 2
                self.lapsed = True
        if not self.stock:
            return None
        self.last_used = now
        return self.stock[0] if self.stock[0].open else self.stock.popleft()

    def missed(self, now: float) -> None:
        """A request came and there was no slot in stock: take more ahead if this is how it goes all the time."""
        if now - self.last_used > _LIVELY_S:
            self.ahead = 0
        elif not self.lapsed:
            self.ahead = min(2 * self.ahead + 1, _MOST_AHEAD)
        self.lapsed = False
        self.last_used = now


@dataclass(eq=False, slots=True)
class _Waiter:
    count: Callable[[], Counted]
    counted: Counted
    priority: Priority
    sync_id: UUID | None
    since: float
    granted: asyncio.Future[Slot]

    @property
    def lane(self) -> LaneKey:
        return (self.counted.charges, self.counted.words)

    @property
    def places(self) -> tuple[BucketKey | None, ...]:
        """Where it stands in line: in every bucket that counts it."""
        return tuple(charge.bucket for charge in self.counted.charges) or (None,)

    def starved_s(self) -> float:
        """How long its priority may be passed over by others: five slots of the slowest limit, a second at least."""
        slowest = max((window_s / allowed for allowed, window_s in self.counted.published.values()), default=0.0)
        return max(_STARVED_S, FLOOR * slowest)


class AccountQueue:
    """One account of one provider. `slot` waits; everything else returns at once."""

    def __init__(self, provider: str, owner: bytes, worker_id: UUID, ledger: Ledger, clock: DatabaseClock) -> None:
        self._provider = provider
        self._owner = owner
        self._worker_id = worker_id
        self._ledger = ledger
        self._shares = Shares()
        self._shared_at = 0.0
        self._short = False
        self._clock = clock
        self._waiting: FairQueue[_Waiter] = FairQueue()
        self._lanes: dict[LaneKey, _Lane] = {}
        self._next_slot: dict[BucketKey, float] = {}
        self._near: set[asyncio.Future[None]] = set()
        self._granted_at: dict[tuple[BucketKey | None, Priority], float] = {}
        self._blocked: dict[str, float] = {}
        self._jumps = clock.jumps
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._away = False
        self._used = clock.monotonic()

    async def slot(self, count: Callable[[], Counted], priority: Priority, sync_id: UUID | None) -> None:
        """Return at the moment at which the request may be sent. `count` tells how it is counted now.

        Raises `Blocked` when the provider's word forbids it for more than a minute.
        """
        while True:
            jumps = self._heed_jumps()
            counted = count()
            if (blocked := self._blocked_until(counted.endpoint) - self._now()) > 0:
                if blocked > _PATIENCE_S:
                    raise Blocked(from_unix(self._blocked_until(counted.endpoint)))
                await self._clock.sleep(blocked)
                continue
            self._shares.wants(priority, sync_id)
            lane = self._lane((counted.charges, counted.words))
            slot = lane.take(self._now())
            if slot is None:
                lane.missed(self._now())
                slot = await self._wait_for(
                    _Waiter(count, counted, priority, sync_id, self._now(), asyncio.get_running_loop().create_future())
                )
            if await self._begun(slot, counted.endpoint, jumps):
                self._used = self._clock.monotonic()
                self._shares.served(priority)
                return
            metrics.PERMITS_LAPSED.labels(self._provider).inc()

    async def room(self, buckets: Callable[[], Iterable[BucketKey]]) -> None:
        """Wait while one of them has no slot to give, as far as this process knows. Nothing is taken."""
        while (seconds := max(map(self._free_at, buckets()), default=0.0) - self._now()) > 0:
            recounted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._near.add(recounted)
            try:
                async with asyncio.timeout(seconds):
                    await recounted
            except TimeoutError:
                pass
            finally:
                self._near.discard(recounted)

    def recount(self, sync_id: UUID) -> None:
        """The sync's limit has changed: count its waiting requests anew; slots in stock under the old one are void."""
        for waiter in self._waiting:
            if waiter.sync_id == sync_id:
                self._waiting.remove(waiter)
                waiter.counted = waiter.count()
                self._waiting.add(waiter, waiter.priority, waiter.sync_id, waiter.places)
        for key in [key for key in self._lanes if any(c.bucket.owner == sync_id.bytes for c in key[0])]:
            del self._lanes[key]
        for bucket in [bucket for bucket in self._next_slot if bucket.owner == sync_id.bytes]:
            del self._next_slot[bucket]
        for recounted in self._near:
            if not recounted.done():
                recounted.set_result(None)
        self._wake.set()

    def block(self, limit_class: str, until: float) -> None:
        """The provider refused: what was given out for this class lapses."""
        self._blocked[limit_class] = max(until, self._blocked.get(limit_class, 0.0))

    def idle_since(self, oldest: float) -> bool:
        """Nobody waits, and nobody has since the steady moment `oldest`."""
        return not self._waiting and not self._near and self._used < oldest

    async def stop(self) -> None:
        for waiter in self._waiting:
            waiter.granted.cancel()
        for recounted in self._near:
            recounted.cancel()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    # ── in turn ──

    async def _wait_for(self, waiter: _Waiter) -> Slot:
        self._waiting.add(waiter, waiter.priority, waiter.sync_id, waiter.places)
        self._wake.set()
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._serve(), name=f"pace-{self._provider}")
        try:
            return await waiter.granted
        except asyncio.CancelledError:
            self._waiting.remove(waiter)
            if waiter.granted.done() and not waiter.granted.cancelled() and not waiter.granted.exception():
                self._lane(waiter.lane).stock.append(waiter.granted.result())
            raise

    async def _serve(self) -> None:
        """Until nobody waits. An error that is nobody's fault here must not leave anybody waiting for ever."""
        try:
            while self._waiting:
                self._wake.clear()
                self._heed_jumps()
                now = self._now()
                moments = self._moments(now)
                due = {waiter for waiter, moment in moments.items() if moment <= now}
                batch = self._waiting.order(_MOST_ASKS, due.__contains__, self._place)
                if batch:
                    await self._ask(batch, now)
                else:
                    await self._pause(min(moments.values()) - now)
        except Exception as error:
            log.exception("pace_failed", provider=self._provider)
            for waiter in self._waiting:
                self._waiting.remove(waiter)
                if not waiter.granted.done():
                    waiter.granted.set_exception(error)
        self._forget_lanes()

    async def _ask(self, batch: Sequence[_Waiter], now: float) -> None:
        lanes, asks = self._asks(batch, now)
        published = {key: limit for waiter in batch for key, limit in waiter.counted.published.items()}
        jumps = self._clock.jumps
        try:
            await self._share(batch, now)
            answers = await self._ledger.reserve(self._provider, published, asks)
        except OUTAGE as error:
            if not self._away:
                log.warning("ledger_unreachable", provider=self._provider, error=type(error).__name__)
            self._away = True
            await self._clock.sleep(_DATABASE_AWAY_S)
        else:
            self._away = False
            if self._clock.jumps == jumps:  # else these are moments of another time: what was given out lapses
                self._deliver(batch, lanes, asks, answers)

    async def _share(self, batch: Sequence[_Waiter], now: float) -> None:
        """While there is less than is wanted: hear what the syncs of other processes have had."""
        if self._short and now >= self._shared_at + _SHARED_EVERY_S:
            self._short, self._shared_at = False, now
            own = self._shares.told((waiter.priority, waiter.sync_id) for waiter in self._waiting)
            fresh = timedelta(seconds=2 * max(waiter.starved_s() for waiter in batch))
            self._shares.heed(await self._ledger.share(self._provider, self._owner, self._worker_id, own, fresh))

    def _asks(self, batch: Sequence[_Waiter], now: float) -> tuple[list[LaneKey], list[Ask]]:
        """The batch's asks, and behind them those for requests that are expected to follow."""
        lanes = [waiter.lane for waiter in batch]
        asks = [Ask(*waiter.lane, self._horizon_s(waiter, now)) for waiter in batch]
        for key in dict.fromkeys(lanes):
            ahead = min(self._lane(key).ahead, _MOST_ASKS - len(asks))
            lanes += [key] * ahead
            asks += [Ask(*key, self._reach_s(Priority.BACKFILL))] * ahead
        return lanes, asks

    def _deliver(
        self, batch: Sequence[_Waiter], lanes: Sequence[LaneKey], asks: Sequence[Ask], answers: Sequence[Slot | Later]
    ) -> None:
        now = self._now()
        for position, (key, ask, answer) in enumerate(zip(lanes, asks, answers, strict=True)):
            waiter = batch[position] if position < len(batch) else None
            wants = waiter is not None and not waiter.granted.done() and waiter.lane == key
            if isinstance(answer, Slot):
                self._next_slot |= zip((charge.bucket for charge in key[0]), answer.following, strict=True)
                if waiter is not None and wants:
                    self._waiting.remove(waiter, served=True)
                    self._granted_at |= {(place, waiter.priority): now for place in waiter.places}
                    waiter.granted.set_result(answer)
                elif key in self._lanes:
                    self._lanes[key].stock.append(answer)
            elif waiter is not None and wants:
                if answer.blocked and answer.at - now > _PATIENCE_S:
                    self._waiting.remove(waiter)
                    waiter.granted.set_exception(Blocked(from_unix(answer.at)))
                elif answer.blocked:
                    self._lane(key).not_before[waiter.priority] = answer.at
                else:
                    self._short = True
                    self._lane(key).begins[waiter.priority] = answer.at + ask.horizon_s / 2

    # ── moments ──

    def _horizon_s(self, waiter: _Waiter, now: float) -> float:
        passed_over = now - max(waiter.since, self._granted_at.get((self._place(waiter), waiter.priority), 0.0))
        return HORIZON_S[Priority.MUTATION] if passed_over > waiter.starved_s() else self._reach_s(waiter.priority)

    def _reach_s(self, priority: Priority) -> float:
        return HORIZON_S[priority] - (YIELDS_S if self._shares.ahead(priority) else 0.0)

    def _place(self, waiter: _Waiter) -> BucketKey | None:
        """The bucket that keeps it waiting: others may have slots to spare, or requests in line that want none of the
        same."""
        return max(waiter.places, key=self._free_at)

    def _free_at(self, place: BucketKey | None) -> float:
        return 0.0 if place is None else self._next_slot.get(place, 0.0)

    async def _begun(self, slot: Slot, endpoint: str, jumps: int) -> bool:
        """Wait for the slot's beginning; whether it may still be used then. `jumps` were the clock's before it was
        asked for: a slot of the time before a jump lapses."""
        while self._clock.jumps == jumps and (delay := slot.begins - self._now()) > 0:
            await self._clock.sleep(delay)
        return self._clock.jumps == jumps and self._blocked_until(endpoint) <= self._now() <= slot.ends

    def _heed_jumps(self) -> int:
        """After a jump of the clock, moments that were told before mean nothing. Returns how often it has jumped."""
        if self._jumps != self._clock.jumps:
            self._jumps = self._clock.jumps
            self._lanes.clear()
            self._next_slot.clear()
            self._granted_at.clear()
        return self._jumps

    def _blocked_until(self, endpoint: str) -> float:
        return max(self._blocked.get(ALL, 0.0), self._blocked.get(endpoint, 0.0))

    def _moments(self, now: float) -> dict[_Waiter, float]:
        """When to ask for each: half of its horizon before its slot may begin, as it was told or by what is taken of
        its buckets, so that those who come meanwhile are asked for together. All who stand in one line are asked for as
        soon as the one who reaches farthest: else a lower priority, which reaches less far, would come when the slot is
        gone, and never have its turn. A mutation does not wait for company."""
        reaches = {waiter: self._horizon_s(waiter, now) for waiter in self._waiting}
        farthest: dict[BucketKey | None, float] = {}
        for waiter, reach_s in reaches.items():
            for place in waiter.places:
                farthest[place] = max(reach_s, farthest.get(place, 0.0))
        return {waiter: self._moment(waiter, farthest[self._place(waiter)]) for waiter in reaches}

    def _moment(self, waiter: _Waiter, reach_s: float) -> float:
        lane = self._lane(waiter.lane)
        begins = lane.begins.get(waiter.priority, 0.0)
        if waiter.priority is not Priority.MUTATION:
            begins = max(begins, self._free_at(self._place(waiter)))
        return max(begins - reach_s / 2, lane.not_before.get(waiter.priority, 0.0))

    async def _pause(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(min(max(seconds, 0.0), _LONGEST_PAUSE_S)):
                await self._wake.wait()
        except TimeoutError:
            pass

    def _now(self) -> float:
        return self._clock.now().timestamp()

    def _lane(self, key: LaneKey) -> _Lane:
        return self._lanes.setdefault(key, _Lane())

    def _forget_lanes(self) -> None:
        self._granted_at.clear()
        oldest = self._now() - _LANE_KEPT_S
        for key in [key for key, lane in self._lanes.items() if lane.last_used < oldest]:
            del self._lanes[key]
        for bucket in [bucket for bucket, moment in self._next_slot.items() if moment < oldest]:
            del self._next_slot[bucket]
