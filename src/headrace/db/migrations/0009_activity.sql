-- What each sync did, for people who look: figures by the minute for some hours, and its log for some days. Nothing
-- depends on these rows; they are written now and then by the worker that holds the sync, and lost with it.

create table sync_minutes (
  stream_id uuid not null,
  sync_id uuid not null,
  minute timestamptz not null,     -- when it began
  requests integer not null,       -- sent to the provider
  refused integer not null,        -- of these: the provider answered that there were too many
  failed integer not null,         -- of these: every other fault
  created integer not null,        -- records appended
  updated integer not null,
  deleted integer not null,
  unchanged integer not null,      -- records read that had not changed
  primary key (stream_id, sync_id, minute)
);

create table sync_log (
  stream_id uuid not null,
  sync_id uuid not null,
  at timestamptz not null,         -- no two lines of a process have the same
  id uuid not null,
  level text not null,
  event text not null,
  fields text not null,            -- a JSON object
  primary key (stream_id, sync_id, at, id)
);
