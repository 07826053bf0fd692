-- name: create_partition
-- Of the day $1, up to the day $2. ATTACH, since it waits for nobody who reads or writes events.
create table events_$1 (like events including defaults including constraints including storage);
alter table events attach partition events_$1 for values from ('$1') to ('$2')

-- name: list_partitions
-- A look at the catalogue: the days that have a partition.
select to_date(right(c.relname, 8), 'YYYYMMDD') as day
from pg_inherits i join pg_class c on c.oid = i.inhrelid
where i.inhparent = 'events'::regclass order by day

-- name: list_consumers
-- All consumers of events. Streams are many and these are few, so this list is made without naming streams.
select stream_id, consumer_id from consumers where kind = 'events'

-- name: lock_partition
-- Whoever reads it or gives it to a consumer has then ended. Better to come again than to let others queue behind this.
set local lock_timeout = '50ms';
lock table events_$1 in access exclusive mode

-- name: drop_partition
drop table events_$1

-- name: read_place
select c.filters, p.generation, p.position
from consumers c
cross join lateral (
  select q.generation, q.position from consumer_positions q
  where q.stream_id = $1 and q.consumer_id = $2 and q.generation = c.generation
  order by q.seq desc limit 1
) p
where c.stream_id = $1 and c.consumer_id = $2

-- name: count_undelivered
-- Of the day $3: past the position $4, up to $5.
select count(*) from events e
where e.stream_id = $1 and e.expires_on = $3 and e.updated_idx > $4 and e.updated_idx <= $5
  and ($6::uuid[] is null or e.sync_id = any ($6))
  and ($7::text[] is null or split_part(e.collection_id, ':', 1) = any ($7))
  and ($8::text[] is null or e.collection_id = any ($8))
  and exists (select from consumers c where c.stream_id = $1 and c.consumer_id = $2)
  and not exists (
    select from purges p
    where p.stream_id = $1 and p.sync_id = e.sync_id and e.updated_idx <= p.up_to
      and (p.collection_id is null or p.collection_id = e.collection_id)
  )

-- name: count_held_back
-- Of the day $3: passed by the position $4, and waiting for an earlier event of the record to be acked.
select count(*)
from (
  select u.record_id, u.waiting
  from deliveries d cross join lateral unnest(d.record_ids, d.waiting) u (record_id, waiting)
  where d.stream_id = $1 and d.consumer_id = $2 and d.waiting is not null and u.waiting > 0
) m
cross join lateral (
  select from events e
  where e.stream_id = $1 and e.expires_on = $3 and e.record_id = m.record_id
    and e.updated_idx >= m.waiting and e.updated_idx <= $4
) w

-- name: drop_dead_letters
delete from dead_letters d
where d.stream_id = $1 and d.consumer_id = $2 and exists (
  select from events e where e.stream_id = $1 and e.updated_idx = d.idx and e.expires_on = $3
)

-- name: insert_loss
insert into event_losses (stream_id, consumer_id, expires_on, lost) values ($1, $2, $3, $4)
on conflict (stream_id, consumer_id, expires_on) do nothing
