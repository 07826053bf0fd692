-- Events: what happened to records, kept for the stream's `event_days`. See docs/decisions/011-events.md.

-- The append reads it with the lock that it takes anyway: a stream without events pays nothing. Changed by a PATCH of
-- the stream, so seldom that the lock's row still leaves no chain of versions.
alter table stream_locks add column event_days integer not null default 0;
update stream_locks l set event_days = s.event_days from streams s where s.id = l.stream_id;

create table events (               -- append-only; a partition is the events that may go on one day, and goes as a whole
  stream_id uuid not null,
  updated_idx bigint not null,      -- the number that the change gave to the record
  expires_on date not null,         -- the day (UTC) from which on it is no longer kept
  event text not null check (event in ('created', 'updated', 'deleted')),
  record_id uuid not null,
  sync_id uuid not null,
  collection_id text not null,
  upstream_id text not null,
  deleted boolean not null,
  upstream_created_at timestamptz,
  upstream_updated_at timestamptz not null,
  inserted_at timestamptz not null, -- of the record
  appended_at timestamptz not null, -- of the event
  changes bytea,                    -- JSON object of the changed fields' old values; null where nothing was changed
  size integer not null,
  codec smallint not null,
  dict_id integer,
  data bytea not null,              -- as of then
  primary key (stream_id, updated_idx, expires_on)
) partition by range (expires_on);
alter table events alter column data set storage external;   -- compressed by us
create index events_record on events (stream_id, record_id, updated_idx);
create index events_sync on events (stream_id, sync_id, updated_idx);

create table event_losses (         -- events that a consumer had not been given when their partition went
  stream_id uuid not null,
  consumer_id uuid not null,
  expires_on date not null,
  lost bigint not null,
  primary key (stream_id, consumer_id, expires_on)
);

-- A consumer of events is given each of them, so what waits behind a message is known by its first number.
alter table deliveries add column waiting bigint[];   -- the first version or event passed meanwhile, 0: none; null: all 0
update deliveries d set waiting = array(
  select case when u.newer then u.idx + 1 else 0 end from unnest(d.newer, d.idxs) with ordinality u (newer, idx, ord)
  order by u.ord
) where newer is not null;
alter table deliveries drop column newer;

alter table dead_letters drop constraint dead_letters_pkey;
alter table dead_letters add primary key (stream_id, consumer_id, record_id, idx);
