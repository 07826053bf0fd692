-- Grants at work: access tokens and whose turn it is to make one, the link in the browser, limits of API tokens.

create table access_tokens (       -- one row a credential whose access tokens are minted
  org_id uuid not null,
  credential_id uuid not null,
  token bytea,                     -- sealed, associated data: org_id, credential_id; null: there is none
  token_mark bytea,                -- keyed hash of it: tells whether it is the one that was refused
  renew_at timestamptz,            -- from then on a new one is made
  expires_at timestamptz,          -- null: unknown
  made_at timestamptz,
  made_in bigint not null default 0,        -- the turn that made it
  turn bigint not null default 0,  -- the fence: grows each time that somebody sets about making one
  turn_until timestamptz,          -- somebody is at it until then; null: nobody
  sent bytea,                      -- keyed hash of the grant sent in a turn whose answer is not known
  refused bytea,                   -- keyed hash of the grant that was refused
  refusal text,                    -- in the provider's words
  refusals integer not null default 0,
  ask_again_at timestamptz,        -- the refused grant is not sent before
  primary key (org_id, credential_id),
  foreign key (org_id, credential_id) references credentials on delete cascade
);

alter table credentials add column grant_mark bytea;  -- keyed hash of the grant that it holds; null: none is minted from
create index credentials_grant on credentials (org_id, grant_mark);

create table auth_links (          -- an account on its way in: started once, called back once, its code taken once
  org_id uuid not null references orgs,
  id uuid not null,
  oauth_app_id uuid not null,
  kind text not null,
  redirect_url text not null,
  payload bytea not null,          -- sealed JSON: the caller's state, what was told, the PKCE verifier, the credential
  start_hash bytea not null,       -- sha256 of the token in the start URL
  state_hash bytea,                -- sha256 of the state given to the provider, once the browser was sent there
  browser_hash bytea,              -- sha256 of the cookie of the browser that was sent there
  code_hash bytea,                 -- sha256 of the code given to the redirect URL, once the account was connected
  expires_at timestamptz not null, -- of the step that is next
  created_at timestamptz not null,
  primary key (org_id, id),
  foreign key (org_id, oauth_app_id) references oauth_apps on delete cascade
);
create index auth_links_start on auth_links (start_hash);
create index auth_links_state on auth_links (state_hash);
create index auth_links_code on auth_links (code_hash);
create index auth_links_expiry on auth_links (expires_at);

alter table api_tokens add column requests_per_minute integer check (requests_per_minute >= 1);
