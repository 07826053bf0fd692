-- name: account_offset
-- The provider's clock against the database's, in seconds.
select offset_s from account_clocks where provider = $1 and account_hash = $2
