-- The spine: control plane (keyed by org_id), data plane (keyed by stream_id), and the workers' own rows.
--
-- Rules that hold for every table of the data plane, kept by a test over every statement:
-- stream_id is in every primary key, unique index and foreign key; ids and times come from the client;
-- no sequence, identity column, trigger or volatile default. See docs/decisions/003-data-plane-rules.md.

-- ───────────────────────────── instance ─────────────────────────────

create table instance (            -- facts about this installation, one row a fact
  name text primary key,           -- 'master_key_check', 'ledger_pepper', ...
  value bytea not null
);

-- ─────────────────────────── control plane ──────────────────────────

create table orgs (
  org_id uuid primary key,
  name text not null check (length(name) between 1 and 255),
  created_at timestamptz not null
);

create table org_keys (            -- a data key per organisation, wrapped by a master key
  org_id uuid not null references orgs,
  key_id uuid not null,
  master_key_id text not null,     -- which master key wrapped it
  wrapped bytea not null,          -- nonce || AES-256-GCM(data key), associated data: org_id, key_id
  active boolean not null,         -- new secrets are written with the active one
  created_at timestamptz not null,
  primary key (org_id, key_id)
);
create unique index org_keys_active on org_keys (org_id) where active;

create table api_tokens (
  org_id uuid not null references orgs,
  id uuid not null,
  name text not null,
  token_hash bytea not null,       -- sha256 of a token of 256 random bits
  scopes text[] not null,
  stream_ids uuid[],               -- null: all streams of the organisation
  instance boolean not null default false,  -- may make organisations
  expires_at timestamptz,
  last_used_at timestamptz,
  revoked_at timestamptz,
  created_at timestamptz not null,
  primary key (org_id, id)
);
create index api_tokens_hash on api_tokens (token_hash);

create table streams (
  org_id uuid not null references orgs,
  id uuid not null,
  slug text not null check (slug ~ '^[a-z0-9_-]{1,63}$'),
  event_days integer not null default 0 check (event_days between 0 and 365),
  created_at timestamptz not null,
  updated_at timestamptz not null,
  primary key (org_id, id),
  unique (org_id, slug)
);

create table oauth_apps (
  org_id uuid not null references orgs,
  id uuid not null,
  provider text not null,
  name text not null,
  client_id text not null,
  secret_names text[] not null,    -- which of them it has: shown as stars without opening them
  secrets bytea not null,          -- sealed JSON: client_secret, private_key
  redirect_uris text[] not null default '{}',
  properties jsonb not null default '{}',   -- app_id and the like, nothing secret
  metadata json not null default '{}',
  health_status text not null default 'ok' check (health_status in ('ok', 'warn', 'error')),
  health_notes jsonb not null default '[]',
  health_at timestamptz not null,
  created_at timestamptz not null,
  updated_at timestamptz not null,
  primary key (org_id, id)
);

create table credentials (
  org_id uuid not null references orgs,
  id uuid not null,
  provider text not null,
  kind text not null,
  name text,
  properties jsonb not null,       -- what is not secret
  secret_names text[] not null,    -- which secret properties it has: shown as stars without opening them
  secrets bytea not null,          -- sealed JSON of the secret properties, associated data: org_id, id
  upsert_key bytea not null,       -- keyed hash of (kind, app, mode, account, fingerprint): same account, same row
  fingerprint bytea not null,      -- keyed hash of kind and secrets: finds the row while the account is not known
  account_hash bytea not null,     -- keyed hash of (provider, account id), the ledger's key
  account_id text,                 -- as learned from the provider
  mode text not null check (mode in ('live', 'test')),
  oauth_app_id uuid,
  revision bigint not null default 1,       -- grows with each change of secrets or properties
  metadata json not null default '{}',
  health_status text not null default 'ok' check (health_status in ('ok', 'warn', 'error')),
  health_notes jsonb not null default '[]',
  health_at timestamptz not null,
  created_at timestamptz not null,
  updated_at timestamptz not null,
  primary key (org_id, id),
  unique (org_id, upsert_key),
  foreign key (org_id, oauth_app_id) references oauth_apps
);
create index credentials_fingerprint on credentials (org_id, fingerprint);

create table syncs (               -- configuration only; owner, epoch and progress are data-plane rows
  org_id uuid not null references orgs,
  id uuid not null,
  stream_id uuid not null,
  provider text not null,
  credential_id uuid,              -- null: a deleted sync whose credential was deleted too
  name text not null check (length(name) between 1 and 255),
  status text not null check (status in ('active', 'disabled')),
  collection_ids text[] not null check (cardinality(collection_ids) >= 1),
  rate_limit jsonb,                -- null: the provider's default
  max_age_days double precision check (max_age_days > 0 and max_age_days <= 36500),
  sync_frequency text not null check (sync_frequency in ('continuous', '4h')),
  max_poll_ms integer not null check (max_poll_ms between 500 and 3600000),
  deleted_retention_days double precision check (deleted_retention_days > 0),
  external_id text,
  metadata json not null default '{}',
  webhook_secret bytea,            -- sealed: the provider's signing secret
  webhook_path_hash bytea,         -- sha256 of the secret part of the webhook's path
  deleted_at timestamptz,          -- set: gone for every reader; rows are purged in chunks, then this row goes
  created_at timestamptz not null,
  updated_at timestamptz not null,
  primary key (org_id, id),
  check (credential_id is not null or deleted_at is not null),
  foreign key (org_id, stream_id) references streams,
  foreign key (org_id, credential_id) references credentials
);
create index syncs_credential on syncs (org_id, credential_id);
create index syncs_id on syncs (id);

create table collections (         -- discovered collections of an account; ids are never given twice
  org_id uuid not null references orgs,
  provider text not null,
  upstream_scope text not null,    -- e.g. the base; with upstream_id the identity of the table upstream
  upstream_id text not null,
  id text not null,
  primary key (org_id, provider, upstream_scope, upstream_id),
  unique (org_id, id)
);

create table credential_collections (  -- what a refresh found for a credential
  org_id uuid not null,
  credential_id uuid not null,
  id text not null,
  name text not null,
  upstream_id text not null,
  schema json not null,
  upstream_metadata json,
  seen_at timestamptz not null,
  primary key (org_id, credential_id, id),
  foreign key (org_id, credential_id) references credentials on delete cascade
);

create table collection_refreshes (
  org_id uuid not null,
  credential_id uuid not null,
  status text not null check (status in ('processing', 'succeeded', 'failed')),
  last_started_at timestamptz,
  last_succeeded_at timestamptz,
  error json,
  primary key (org_id, credential_id),
  foreign key (org_id, credential_id) references credentials on delete cascade
);

create table http_consumers (      -- configuration; position and deliveries are data-plane rows
  org_id uuid not null references orgs,
  id uuid not null,
  stream_id uuid not null,
  name text not null,
  kind text not null check (kind in ('records', 'events')),
  deliver_policy text not null check (deliver_policy in ('all', 'new', 'last', '1h')),
  ack_wait_ms integer not null,
  max_deliver integer not null,
  max_ack_pending integer not null,
  filters jsonb not null,          -- {"provider": "*" | [..], "sync_id": .., "collection_id": ..}
  metadata json not null default '{}',
  created_at timestamptz not null,
  updated_at timestamptz not null,
  primary key (org_id, id),
  foreign key (org_id, stream_id) references streams
);

create table idempotency_keys (
  org_id uuid not null,
  token_id uuid not null,
  route text not null,
  key text not null,
  body_hash bytea not null,
  status integer,                  -- null while the first call is under way
  answer bytea,                    -- sealed
  created_at timestamptz not null,
  primary key (org_id, token_id, route, key)
);

create table audit (
  org_id uuid not null,
  id uuid not null,                -- version 7: in order of time
  token_id uuid,
  token_name text,
  method text not null,
  route text not null,             -- the template, never the path as sent
  object_id text,
  status integer not null,
  detail json,
  at timestamptz not null,
  primary key (org_id, id)
);

-- ───────────────────────────── data plane ───────────────────────────
-- Counter and position are not updated in place: while some transaction elsewhere in the database is held open,
-- an updated row grows a chain of dead versions that each access walks (measured: after 60 000 updates a fifth of
-- the speed). So the lock is a row that is never changed, and the value is the greatest row of a log.
-- See docs/decisions/002-positions-are-appended.md.

create table stream_locks (        -- FOR UPDATE of this row is the stream's append lock
  stream_id uuid primary key
);

create table stream_heads (        -- the greatest head is the last number given out
  stream_id uuid not null,
  head bigint not null check (head < 9007199254740992),
  appended_at timestamptz not null,
  primary key (stream_id, head)
);

create table sync_epochs (         -- the fence: FOR SHARE by every append, updated by claims and by changes of scope
  stream_id uuid not null,
  sync_id uuid not null,
  org_id uuid not null,
  owner uuid,                      -- the worker
  epoch bigint not null,           -- grows with every claim
  revision bigint not null,        -- grows with every PATCH of scope, purge and delete
  deleted boolean not null default false,
  primary key (stream_id, sync_id)
) with (fillfactor = 50);

create table sync_states (         -- what the engine knows of a sync beside its checkpoints
  stream_id uuid not null,
  sync_id uuid not null,
  health_status text not null default 'initializing' check (health_status in ('initializing', 'healthy', 'warning', 'error')),
  health_notes json not null default '[]',
  last_healthy_at timestamptz,
  erroring_since timestamptz,
  consecutive_errors integer not null default 0,
  last_success_at timestamptz,     -- the last request that succeeded
  last_read_at timestamptz,        -- the last read of changes that was finished
  initial_backfill_completed_at timestamptz,
  last_run_started_at timestamptz, -- 4h: the run that counts
  next_run_at timestamptz,
  run_requested_at timestamptz,    -- `run`
  hinted_at timestamptz,           -- a webhook came
  primary key (stream_id, sync_id)
) with (fillfactor = 50);

create table checkpoints (
  stream_id uuid not null,
  sync_id uuid not null,
  reading text not null check (reading in ('backfill', 'changes', 'settled', 'sweep')),
  scope text not null,             -- 'feed:NAME', collection id, collection id + '/' + partition; '#n' a slice
  collection_id text,              -- null for a feed
  form integer not null,           -- version of the value's form
  value json not null,             -- window and page cursor
  pages bigint not null default 0,
  records bigint not null default 0,
  expected bigint,                 -- total where the provider tells
  started_at timestamptz,
  settled_through timestamptz,     -- moved only by the append of the read that proves it
  completed_at timestamptz,        -- likewise
  last_success_at timestamptz,
  last_error json,
  primary key (stream_id, sync_id, reading, scope)
) with (fillfactor = 50);

create table payload_dicts (       -- trained zstd dictionaries: immutable, kept while referenced
  stream_id uuid not null,
  dict_id integer not null,
  collection_id text not null,
  dict bytea not null,
  primary key (stream_id, dict_id)
);

create table records (
  stream_id uuid not null,
  record_id uuid not null,         -- name-based UUID of (sync_id, collection_id, upstream_id)
  sync_id uuid not null,
  collection_id text not null,
  upstream_id text not null,
  parent_id text,                  -- upstream id of the parent, for children
  partition text,                  -- repository, base, portal object
  updated_idx bigint check (updated_idx < 9007199254740992),  -- null: tombstone of a record never held
  deleted boolean not null,
  version bigint not null,         -- the provider's version, or its updated time in microseconds; 0: none
  as_of timestamptz not null,      -- the moment for which the answer speaks, in the provider's clock
  slack_ms integer not null default 0,  -- how much later that moment may really have been
  strong boolean not null,         -- false: from an eventually consistent reading
  upstream_created_at timestamptz,
  upstream_updated_at timestamptz not null,
  inserted_at timestamptz not null,
  appended_at timestamptz not null,
  raw_hash bytea not null,         -- xxh3_128 of the slice as sent
  canon_hash bytea,                -- xxh3_128 of the canonical form; null: not computed yet
  canon_version integer not null,  -- of the collection's canonical form when canon_hash was made
  size integer not null,           -- bytes of data before compression
  codec smallint not null,         -- 0 plain JSON, 1 zstd, 2 zstd with dict_id
  dict_id integer,
  data bytea not null,
  primary key (stream_id, record_id)
) with (toast_tuple_target = 8160, autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_insert_scale_factor = 0.2);
alter table records alter column data set storage external;   -- compressed by us
create unique index records_idx on records (stream_id, updated_idx);
create index records_collection on records (stream_id, sync_id, collection_id, updated_idx);
create index records_parent on records (stream_id, sync_id, parent_id) where parent_id is not null;

create table sweep_seen (          -- ids seen by a sweep, keyed by it
  stream_id uuid not null,
  sweep_id uuid not null,
  record_id uuid not null,
  primary key (stream_id, sweep_id, record_id)
);

create table held_deletes (        -- deletes that the safety catch holds back until confirm-deletes
  stream_id uuid not null,
  sync_id uuid not null,
  collection_id text not null,
  sweep_id uuid not null,
  held bigint not null,            -- records held by the collection when the catch fell
  record_ids uuid[] not null,
  held_at timestamptz not null,
  primary key (stream_id, sync_id, collection_id)
);

create table set_aside (           -- a record or child that could not be read, retried while the rest goes on
  stream_id uuid not null,
  sync_id uuid not null,
  collection_id text not null,
  what text not null check (what in ('record', 'children')),
  upstream_id text not null,       -- of the record, or of the parent whose children could not be read
  parent_id text,                  -- what a fetch by id needs beside the record's own id
  reason text not null,
  attempts integer not null,
  retry_at timestamptz not null,
  first_at timestamptz not null,
  primary key (stream_id, sync_id, collection_id, what, upstream_id)
);

create table consumers (           -- FOR UPDATE of this row is the consumer's lock; never updated on the hot path
  stream_id uuid not null,
  consumer_id uuid not null,
  org_id uuid not null,
  kind text not null,
  token_key bytea not null,        -- signs ack tokens
  generation integer not null,     -- grows with every reset: tokens of an older one are void
  ack_wait_ms integer not null,
  max_deliver integer not null,
  max_ack_pending integer not null,
  filters jsonb not null,
  primary key (stream_id, consumer_id)
);

create table consumer_positions (  -- the greatest (generation, seq) is in force; each turn appends one
  stream_id uuid not null,
  consumer_id uuid not null,
  generation integer not null,
  seq bigint not null,             -- who holds the state as of this turn in memory need not read it again
  position bigint not null,        -- everything up to here was delivered, skipped by filter, or is in deliveries
  low_group bigint not null,       -- no row of deliveries has a lower group_id
  dead integer not null,           -- rows in dead_letters, or more (a purge takes some): 0 is sure
  primary key (stream_id, consumer_id, generation, seq)
);

create table deliveries (          -- what was handed out and not acked: a row for the messages of one answer
  stream_id uuid not null,
  consumer_id uuid not null,
  group_id bigint not null,
  turn bigint not null,            -- seq of the turn that handed them out: with record and idx it names a delivery
  handed_out boolean not null,     -- false: nacked, replayed, or acked with a newer version waiting
  due_at timestamptz not null,     -- when they may be handed out again
  record_ids uuid[] not null,
  idxs bigint[] not null,          -- the versions handed out
  counts integer[],                -- deliveries of each version; null: one each
  nacks integer[],                 -- nacks without delay; null: none
  newer boolean[],                 -- whether the position has passed a newer version; null: none has one
  primary key (stream_id, consumer_id, group_id)
) with (fillfactor = 70, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 20000, autovacuum_vacuum_cost_delay = 0);

create table dead_letters (
  stream_id uuid not null,
  consumer_id uuid not null,
  record_id uuid not null,
  idx bigint not null,
  deliveries integer not null,
  reason text,
  dead_at timestamptz not null,
  primary key (stream_id, consumer_id, record_id)
);

create table purges (              -- removals that go on in chunks: a deleted sync, a purge call, a stream
  stream_id uuid not null,
  purge_id uuid not null,
  sync_id uuid not null,
  collection_id text,              -- null: the whole sync
  up_to bigint not null,           -- records with a number up to this one
  cause text not null check (cause in ('sync_deleted', 'purge')),
  requested_at timestamptz not null,
  primary key (stream_id, purge_id)
);
create index purges_sync on purges (stream_id, sync_id);

-- ───────────────────── workers and the ledger of limits ─────────────

create table workers (             -- one heartbeat row a worker, however many syncs it holds
  id uuid primary key,
  host text not null,
  pid integer not null,
  roles text[] not null,
  started_at timestamptz not null,
  heartbeat_at timestamptz not null,
  stopping boolean not null default false
) with (fillfactor = 50);

create table limit_buckets (       -- one row a window of a limit of an account, shared by all processes and organisations
  provider text not null,
  account_hash bytea not null,     -- of the account, or of a sync for its own rate_limit
  limit_class text not null,       -- 'all', an endpoint class, 'sync'
  window_ms integer not null,
  allowed double precision not null,       -- N in this window
  tokens double precision not null,
  refilled_at timestamptz not null,
  blocked_until timestamptz,       -- Retry-After, a penalty, a daily quota
  believed_remaining double precision,     -- what the provider's headers said was left
  primary key (provider, account_hash, limit_class, window_ms)
) with (fillfactor = 50);

create table limit_slots (         -- concurrent requests, tied to the worker's heartbeat
  provider text not null,
  account_hash bytea not null,
  limit_class text not null,
  slot_id uuid not null,
  worker_id uuid not null,
  taken_at timestamptz not null,
  primary key (provider, account_hash, limit_class, slot_id)
);

create table account_clocks (      -- the provider's clock against the database's, by its Date header
  provider text not null,
  account_hash bytea not null,
  offset_s integer not null,
  measured_at timestamptz not null,
  primary key (provider, account_hash)
);
