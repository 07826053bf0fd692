-- What is left of the limits of API tokens: shared by all processes, which take from it a second's worth at a time.

create table token_allowances (
  org_id uuid not null,
  token_id uuid not null,
  remaining double precision not null,  -- requests that nobody has taken yet
  given integer not null,               -- what the last who took was given
  at timestamptz not null,              -- as of when
  primary key (org_id, token_id),
  foreign key (org_id, token_id) references api_tokens
);
