-- name: set_offset
-- The provider's clock against the database's, as its Date header showed it last. A measurement that is far ahead of
-- this one was made before the database's clock was set back.
insert into account_clocks (provider, account_hash, offset_s, measured_at) values ($1, $2, $3, $4)
on conflict (provider, account_hash) do update set offset_s = excluded.offset_s, measured_at = excluded.measured_at
where account_clocks.measured_at < excluded.measured_at
   or account_clocks.measured_at > excluded.measured_at + interval '10 seconds'
