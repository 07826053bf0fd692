-- name: take
-- One statement, so that nothing is given twice: what came back since (of $3 a minute), and $5 that were taken and not
-- used, a minute's worth at the most; then up to $4 of it, whole requests only. A clock that was set back holds the
-- refill up for a minute at the longest.
insert into token_allowances as held (org_id, token_id, remaining, given, at)
values ($1, $2, $3::int - least($4::int, $3::int), least($4::int, $3::int), $6::timestamptz)
on conflict (org_id, token_id) do update set (remaining, given, at) = (
  select room - least(floor(room), $4::int), least(floor(room), $4::int),
    least(greatest(held.at, $6::timestamptz), $6::timestamptz + interval '1 minute')
  from least(
    $3::int,
    held.remaining + $5::int + greatest(0, extract(epoch from $6::timestamptz - held.at)) * $3::int / 60
  ) as room
)
returning given, remaining
