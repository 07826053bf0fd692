-- name: notify
select pg_notify($1, $2)

-- name: read_heads
select s.stream_id, h.head
from unnest($1::uuid[]) s (stream_id)
cross join lateral (
  select g.head from stream_heads g where g.stream_id = s.stream_id order by g.head desc limit 1
) h
