-- name: beat
-- The process lives. One row, once a second, whatever the number of syncs that it holds.
insert into workers (id, host, pid, roles, started_at, heartbeat_at, stopping)
values ($1, $2, $3, $4, $5, $6, $7)
on conflict (id) do update set roles = excluded.roles, heartbeat_at = excluded.heartbeat_at, stopping = excluded.stopping
returning clock_timestamp()

-- name: leave
delete from workers where id = $1

-- name: forget_dead
delete from workers where heartbeat_at < $1
