"""Connect, files, issuing, terminals and the rest: the last third of the catalogue."""

from headrace.testing.stripe.resources import Child, Events, Resource, events, writes

OPERATIONS = (
    Resource("accounts", "account", "acct_", 0.3, "/v1/accounts", events=Events(None, "account.updated"),
             writes=writes("cud")),
    Resource(
        "external_accounts", "bank_account", "ba_", 0, None, created=None,
        child=Child("accounts", (1, 0, 2), "/v1/accounts/{}/external_accounts", "external_accounts",
                    refers="account"),
        events=events("account.external_account"), filters=("object",), writes=writes("cud"),
    ),
    Resource("files", "file", "file_", 0.3, "/v1/files", events=events("file", "created"), filters=("purpose",)),
    Resource(
        "file_links", "file_link", "link_", 0.2, "/v1/file_links", filters=("expired", "file"), writes=writes("cu"),
    ),
    Resource(
        "identity_verification_sessions", "identity.verification_session", "vs_", 0.2,
        "/v1/identity/verification_sessions",
        events=events("identity.verification_session", "created", canceled="canceled", processing="processing",
                      requires_input="requires_input", verified="verified"),
        filters=("client_reference_id", "related_customer", "status"), writes=writes("cu"),
    ),
    Resource(
        "issuing_cardholders", "issuing.cardholder", "ich_", 0.1, "/v1/issuing/cardholders",
        events=events("issuing_cardholder", "created updated"), filters=("email", "phone_number", "status", "type"),
        writes=writes("cu"),
    ),
    Resource(
        "issuing_cards", "issuing.card", "ic_", 0.1, "/v1/issuing/cards",
        events=events("issuing_card", "created updated"), filters=("cardholder", "last4", "status", "type"),
        writes=writes("cu"),
    ),
    Resource(
        "issuing_authorizations", "issuing.authorization", "iauth_", 0.3, "/v1/issuing/authorizations",
        events=events("issuing_authorization", "created updated"), filters=("card", "cardholder", "status"),
        writes=writes("u"),
    ),
    Resource(
        "issuing_transactions", "issuing.transaction", "ipi_", 0.3, "/v1/issuing/transactions",
        events=events("issuing_transaction", "created updated"), filters=("card", "cardholder", "type"),
        writes=writes("u"),
    ),
    Resource(
        "issuing_disputes", "issuing.dispute", "idp_", 0.1, "/v1/issuing/disputes",
        events=events("issuing_dispute", "created updated", submitted="submitted", won="closed", lost="closed"),
        filters=("status", "transaction"), writes=writes("cu"),
    ),
    Resource(
        "payment_method_configurations", "payment_method_configuration", "pmc_", 0.1,
        "/v1/payment_method_configurations", created=None, filters=("active", "application"), writes=writes("cu"),
    ),
    Resource(
        "payment_method_domains", "payment_method_domain", "pmd_", 0.1, "/v1/payment_method_domains", created=None,
        filters=("domain_name", "enabled"), writes=writes("cu"),
    ),
    Resource(
        "reporting_report_runs", "reporting.report_run", "frr_", 0.1, "/v1/reporting/report_runs",
        events=Events(None, None, None, {"succeeded": "reporting.report_run.succeeded"}),
    ),
    Resource(
        "terminal_locations", "terminal.location", "tml_", 0.1, "/v1/terminal/locations", created=None,
        writes=writes("cud"),
    ),
    Resource(
        "terminal_readers", "terminal.reader", "tmr_", 0.1, "/v1/terminal/readers", created=None,
        filters=("device_type", "location", "serial_number", "status"), writes=writes("cud"),
    ),
    Resource(
        "test_clocks", "test_helpers.test_clock", "clock_", 0.1, "/v1/test_helpers/test_clocks", created=None,
        events=events("test_helpers.test_clock", "created deleted"), writes=writes("cd"),
    ),
    Resource(
        "webhook_endpoints", "webhook_endpoint", "we_", 0, "/v1/webhook_endpoints", created=None, writes=writes("cud"),
    ),
)  # fmt: skip
