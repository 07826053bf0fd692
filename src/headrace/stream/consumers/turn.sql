-- name: begin
begin

-- name: commit
commit

-- name: rollback
rollback

-- name: unflushed
-- The commit does not wait for the disk: nobody is answered before `flush`.
set local synchronous_commit = off

-- name: flush
-- A commit that waits for the disk (a note in the log is enough), and so for all commits before it.
select pg_logical_emit_message(true, 'headrace', '')

-- name: lock
-- The consumer's lock.
select 1 from consumers where stream_id = $1 and consumer_id = $2 for update

-- name: still_last
-- Fails (a division by zero) when the turn $4 of generation $3 with the mark $5 is not the last any more, and with it
-- all that is sent along. It sees what the turn before has written, since it begins after the lock was taken.
select 1 / count(*) from consumer_positions l
where l.stream_id = $1 and l.consumer_id = $2 and l.generation = $3 and l.seq = $4 and l.mark = $5 and not exists (
  select from consumer_positions p
  where p.stream_id = $1 and p.consumer_id = $2 and (p.generation, p.seq) > ($3, $4)
)

-- name: read_token_key
select token_key from consumers where stream_id = $1 and consumer_id = $2

-- name: read_state
-- Settings and place. Under the lock it is a statement of its own, after the one that takes it.
select c.generation, c.ack_wait_ms, c.max_deliver, c.max_ack_pending, c.filters, c.kind,
  p.seq, p.mark, p.position, p.low_group, p.dead
from consumers c
cross join lateral (
  select l.seq, l.mark, l.position, l.low_group, l.dead from consumer_positions l
  where l.stream_id = $1 and l.consumer_id = $2 and l.generation = c.generation
  order by l.seq desc
  limit 1
) p
where c.stream_id = $1 and c.consumer_id = $2

-- name: read_groups
-- All that is out, from the lowest group on: the dead entries of what was acked before lie below it.
select group_id, turn, handed_out, due_at, record_ids, idxs, counts, nacks, waiting
from deliveries where stream_id = $1 and consumer_id = $2 and group_id >= $3
order by group_id

-- name: read_head
select head, removals from stream_heads where stream_id = $1 order by head desc limit 1

-- name: count_losses
-- On how many days events went that the consumer had not been given.
select count(*) from event_losses where stream_id = $1 and consumer_id = $2

-- name: insert_group
insert into deliveries (stream_id, consumer_id, group_id, turn, handed_out, due_at, record_ids, idxs, counts, nacks, waiting)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)

-- name: rewrite_group
update deliveries set record_ids = $4, idxs = $5, counts = $6, nacks = $7, waiting = $8
where stream_id = $1 and consumer_id = $2 and group_id = $3

-- name: delete_group
delete from deliveries where stream_id = $1 and consumer_id = $2 and group_id = $3

-- name: insert_dead_letters
insert into dead_letters (stream_id, consumer_id, record_id, idx, deliveries, reason, dead_at)
select $1, $2, u.record_id, u.idx, u.deliveries, u.reason, $7
from unnest($3::uuid[], $4::bigint[], $5::int[], $6::text[]) u (record_id, idx, deliveries, reason)
on conflict (stream_id, consumer_id, record_id, idx) do update set
  deliveries = excluded.deliveries, reason = excluded.reason, dead_at = excluded.dead_at

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
insert into consumer_positions (stream_id, consumer_id, generation, seq, position, low_group, dead, mark)
values ($1, $2, $3, $4, $5, $6, $7, $8)
