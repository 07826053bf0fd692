-- name: add
-- Add to the figures of some minutes of a stream's consumers.
insert into consumer_minutes (stream_id, consumer_id, minute, delivered, acked)
select $1, u.consumer_id, u.minute, u.delivered, u.acked
from unnest($2::uuid[], $3::timestamptz[], $4::int[], $5::int[]) u (consumer_id, minute, delivered, acked)
on conflict (stream_id, consumer_id, minute) do update set
  delivered = consumer_minutes.delivered + excluded.delivered, acked = consumer_minutes.acked + excluded.acked

-- name: minutes
select minute, delivered, acked from consumer_minutes
where stream_id = $1 and consumer_id = $2 and minute >= $3 order by minute

-- name: forget
delete from consumer_minutes where stream_id = $1 and minute < $2
