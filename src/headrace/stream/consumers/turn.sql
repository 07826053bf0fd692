-- name: begin
-- The commit does not wait for the disk: nobody is answered before `flush`.
begin;
set local synchronous_commit = off

-- name: flush
-- A commit that waits for the disk (a note in the log is enough), and so for all commits before it.
select pg_logical_emit_message(true, 'headrace', '')

-- name: begin_known
-- As `begin`; the consumer's lock, and whether the turn $4 of generation $3 is still the last: one row if so, none if not. The
-- second statement sees what the turn before has written, since it begins after the lock was taken.
begin;
set local synchronous_commit = off;
select 1 from consumers where stream_id = $1 and consumer_id = $2 for update;
select 1 from consumer_positions
where stream_id = $1 and consumer_id = $2 and generation = $3 and seq = $4 and not exists (
  select from consumer_positions p
  where p.stream_id = $1 and p.consumer_id = $2 and (p.generation, p.seq) > ($3, $4)
)

-- name: lock_consumer
select token_key, generation, ack_wait_ms, max_deliver, max_ack_pending, filters
from consumers where stream_id = $1 and consumer_id = $2
for update

-- name: read_consumer
select token_key, generation, ack_wait_ms, max_deliver, max_ack_pending, filters
from consumers where stream_id = $1 and consumer_id = $2

-- name: read_position
-- A statement of its own, after the lock.
select seq, position, low_group, dead
from consumer_positions where stream_id = $1 and consumer_id = $2 and generation = $3
order by seq desc
limit 1

-- name: read_groups
-- All that is out, from the lowest group on: the dead entries of what was acked before lie below it.
select group_id, turn, handed_out, due_at, record_ids, idxs, counts, nacks, newer
from deliveries where stream_id = $1 and consumer_id = $2 and group_id >= $3
order by group_id

-- name: read_head
select head from stream_heads where stream_id = $1 order by head desc limit 1

-- name: read_new
-- The head, and visible records past the position and up to $3 that pass the filters, at most $4; without their data
-- from where it would be more than $5 bytes. One row with the head alone when there is none. One snapshot: up to the
-- head, all that is there is seen.
select h.head, v.record_id, v.sync_id, v.collection_id, v.upstream_id, v.updated_idx, v.deleted, v.upstream_created_at,
  v.upstream_updated_at, v.inserted_at, v.codec, case when v.total <= $5 then v.data end as data
from (select g.head from stream_heads g where g.stream_id = $1 order by g.head desc limit 1) h
left join (
  select w.*, sum(w.size) over (order by w.updated_idx rows unbounded preceding) as total
  from (
    select * from records r
    where r.stream_id = $1 and r.updated_idx > $2 and r.updated_idx <= $3
      and ($6::uuid[] is null or r.sync_id = any ($6))
      and ($7::text[] is null or split_part(r.collection_id, ':', 1) = any ($7))
      and ($8::text[] is null or r.collection_id = any ($8))
      and not exists (
        select from purges p
        where p.stream_id = $1 and p.sync_id = r.sync_id and r.updated_idx <= p.up_to
          and (p.collection_id is null or p.collection_id = r.collection_id)
      )
    order by r.updated_idx
    limit $4
  ) w
) v on true
order by v.updated_idx

-- name: read_due
-- What became of records that are due again: those that are gone or being purged do not come back.
select r.record_id, r.sync_id, r.collection_id, r.updated_idx, r.size
from unnest($2::uuid[]) u (record_id)
cross join lateral (
  select h.record_id, h.sync_id, h.collection_id, h.updated_idx, h.size
  from records h where h.stream_id = $1 and h.record_id = u.record_id offset 0
) r
where r.updated_idx is not null and not exists (
  select from purges p
  where p.stream_id = $1 and p.sync_id = r.sync_id and r.updated_idx <= p.up_to
    and (p.collection_id is null or p.collection_id = r.collection_id)
)

-- name: read_again
-- Records to be handed out again. One that has moved past its number meanwhile comes by the position.
select r.record_id, r.sync_id, r.collection_id, r.upstream_id, r.updated_idx, r.deleted, r.upstream_created_at,
  r.upstream_updated_at, r.inserted_at, r.codec, r.data
from unnest($2::uuid[], $3::bigint[]) u (record_id, updated_idx)
cross join lateral (
  select * from records h where h.stream_id = $1 and h.record_id = u.record_id offset 0
) r
where r.updated_idx = u.updated_idx

-- name: insert_group
insert into deliveries (stream_id, consumer_id, group_id, turn, handed_out, due_at, record_ids, idxs, counts, nacks, newer)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)

-- name: rewrite_group
update deliveries set record_ids = $4, idxs = $5, counts = $6, nacks = $7, newer = $8
where stream_id = $1 and consumer_id = $2 and group_id = $3

-- name: delete_group
delete from deliveries where stream_id = $1 and consumer_id = $2 and group_id = $3

-- name: insert_dead_letters
insert into dead_letters (stream_id, consumer_id, record_id, idx, deliveries, reason, dead_at)
select $1, $2, u.record_id, u.idx, u.deliveries, u.reason, $7
from unnest($3::uuid[], $4::bigint[], $5::int[], $6::text[]) u (record_id, idx, deliveries, reason)
on conflict (stream_id, consumer_id, record_id) do update set
  idx = excluded.idx, deliveries = excluded.deliveries, reason = excluded.reason, dead_at = excluded.dead_at

-- name: find_dead_letters
select d.record_id
from unnest($3::uuid[]) u (record_id)
cross join lateral (
  select e.record_id from dead_letters e
  where e.stream_id = $1 and e.consumer_id = $2 and e.record_id = u.record_id offset 0
) d

-- name: supersede_dead_letter
-- A newer version of a record that was set aside is delivered as usual and takes its place.
delete from dead_letters where stream_id = $1 and consumer_id = $2 and record_id = $3

-- name: append_position
insert into consumer_positions (stream_id, consumer_id, generation, seq, position, low_group, dead)
values ($1, $2, $3, $4, $5, $6, $7)

-- name: end_turn
insert into consumer_positions (stream_id, consumer_id, generation, seq, position, low_group, dead)
values ($1, $2, $3, $4, $5, $6, $7);
commit

-- name: count_new
-- How many records past the position pass the filters, counted up to $3.
select count(*) from (
  select from records r
  where r.stream_id = $1 and r.updated_idx > $2
    and ($4::uuid[] is null or r.sync_id = any ($4))
    and ($5::text[] is null or split_part(r.collection_id, ':', 1) = any ($5))
    and ($6::text[] is null or r.collection_id = any ($6))
    and not exists (
      select from purges p
      where p.stream_id = $1 and p.sync_id = r.sync_id and r.updated_idx <= p.up_to
        and (p.collection_id is null or p.collection_id = r.collection_id)
    )
  order by r.updated_idx
  limit $3
) w

-- name: count_held_back
-- Of those, how many wait because an older version of the record is not acked.
select count(*)
from unnest($3::uuid[]) u (record_id)
cross join lateral (
  select h.updated_idx, h.sync_id, h.collection_id
  from records h where h.stream_id = $1 and h.record_id = u.record_id offset 0
) r
where r.updated_idx > $2
  and ($4::uuid[] is null or r.sync_id = any ($4))
  and ($5::text[] is null or split_part(r.collection_id, ':', 1) = any ($5))
  and ($6::text[] is null or r.collection_id = any ($6))
  and not exists (
    select from purges p
    where p.stream_id = $1 and p.sync_id = r.sync_id and r.updated_idx <= p.up_to
      and (p.collection_id is null or p.collection_id = r.collection_id)
  )

-- name: reaches_bytes
-- Whether the next $3 records past the position have more than $4 bytes.
select coalesce(sum(w.size), 0) > $4 from (
  select r.size from records r where r.stream_id = $1 and r.updated_idx > $2 order by r.updated_idx limit $3
) w
