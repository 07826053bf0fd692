-- How many syncs wait for an account in each process, and how many turns each of them has had: so that syncs share an
-- account in equal parts, whichever process they are in. Written while there is less than is wanted.
create table limit_shares (
  provider text not null,
  account_hash bytea not null,
  worker_id uuid not null,
  waiting integer[] not null,               -- by priority, the most pressing first
  turns double precision[] not null,        -- likewise, for each of the syncs that wait
  told_at timestamptz not null,
  primary key (provider, account_hash, worker_id)
) with (fillfactor = 50);
