-- Webhooks that belong to an app: one address for all accounts that the app was given access to.

alter table oauth_apps add column webhook_path_hash bytea;  -- sha256 of the secret part of the address
alter table oauth_apps add column webhook_secret bytea;     -- sealed; null: the app's client secret signs
