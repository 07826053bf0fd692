-- How many messages each consumer was given and acked, by the minute, for people who look (as in sync_minutes).

create table consumer_minutes (
  stream_id uuid not null,
  consumer_id uuid not null,
  minute timestamptz not null,     -- when it began
  delivered integer not null,
  acked integer not null,
  primary key (stream_id, consumer_id, minute)
);
