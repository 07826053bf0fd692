-- name: set_offset
-- The provider's clock against the database's, as its Date header showed it last.
insert into account_clocks (provider, account_hash, offset_s, measured_at) values ($1, $2, $3, $4)
on conflict (provider, account_hash) do update set offset_s = excluded.offset_s, measured_at = excluded.measured_at
where account_clocks.measured_at < excluded.measured_at
