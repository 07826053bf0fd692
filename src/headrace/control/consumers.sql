-- name: insert_consumer
insert into http_consumers
  (org_id, id, stream_id, name, kind, deliver_policy, ack_wait_ms, max_deliver, max_ack_pending, filters, metadata,
   created_at, updated_at)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)

-- name: consumer
select org_id, id, stream_id, name, kind, deliver_policy, ack_wait_ms, max_deliver, max_ack_pending, filters, metadata,
  created_at, updated_at
from http_consumers where org_id = $1 and id = $2

-- name: lock_consumer
select org_id, id, stream_id, name, kind, deliver_policy, ack_wait_ms, max_deliver, max_ack_pending, filters, metadata,
  created_at, updated_at
from http_consumers where org_id = $1 and id = $2 for update

-- name: consumers
select org_id, id, stream_id, name, kind, deliver_policy, ack_wait_ms, max_deliver, max_ack_pending, filters, metadata,
  created_at, updated_at
from http_consumers
where org_id = $1
  and ($2::uuid is null or id > $2)
  and ($3::uuid[] is null or stream_id = any ($3))
  and ($4::uuid is null or stream_id = $4)
  and ($5::text is null or name = $5)
  and ($6::jsonb is null or metadata::jsonb @> $6)
order by id limit $7

-- name: update_consumer
update http_consumers set
  name = $3, deliver_policy = $4, ack_wait_ms = $5, max_deliver = $6, max_ack_pending = $7, filters = $8,
  metadata = $9, updated_at = $10, kind = $11
where org_id = $1 and id = $2

-- name: consumers_of_events
select name from http_consumers where org_id = $1 and stream_id = $2 and kind = 'events' order by id limit 10

-- name: delete_consumer
delete from http_consumers where org_id = $1 and id = $2
