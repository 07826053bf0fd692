"""Customers, payments and money: the first third of the catalogue."""

from headrace.testing.stripe.resources import Child, Events, Resource, events, writes

PAYMENTS = (
    Resource(
        "customers", "customer", "cus_", 14, "/v1/customers", long=False, events=events("customer"),
        filters=("email", "test_clock"), writes=writes("cud"), leaves="stub",
    ),
    Resource(
        "payment_methods", "payment_method", "pm_", 0, "/v1/payment_methods", created=None,
        child=Child("customers", (1, 0, 2, 1, 0, 1, 3, 1, 0, 1, 12, 0), "/v1/customers/{}/payment_methods",
                    refers="customer"),
        events=Events("payment_method.attached", "payment_method.updated", "payment_method.detached"),
        filters=("allow_redisplay", "customer", "type"), writes=writes("cu"), leaves="object",
    ),
    Resource(
        "payment_sources", "card", "card_", 0, None, created=None,
        child=Child("customers", (0, 1, 0, 0, 0, 2, 0, 0, 0), "/v1/customers/{}/sources", expand="sources",
                    refers="customer"),
        events=events("customer.source"), filters=("object",), writes=writes("cud"),
    ),
    Resource(
        "tax_ids", "tax_id", "txi_", 0, None, created=None,
        child=Child("customers", (0, 0, 1, 0, 0, 0, 0, 11, 0, 0), "/v1/customers/{}/tax_ids", expand="tax_ids",
                    refers="customer"),
        events=events("customer.tax_id"), writes=writes("cd"),
    ),
    Resource(
        "customer_balance_transactions", "customer_balance_transaction", "cbtxn_", 0, None,
        child=Child("customers", (0, 1, 0, 0), "/v1/customers/{}/balance_transactions", refers="customer"),
        filters=("invoice",), writes=writes("cu"),
    ),
    Resource(
        "customer_cash_balance_transactions", "customer_cash_balance_transaction", "ccsbtxn_", 0, None, created=None,
        child=Child("customers", (0, 0, 0, 1, 0, 0, 0, 0), "/v1/customers/{}/cash_balance_transactions",
                    refers="customer"),
        events=events("customer_cash_balance_transaction", "created"),
    ),
    Resource(
        "charges", "charge", "ch_", 18, "/v1/charges",
        events=Events("charge.succeeded", "charge.updated", None, {"failed": "charge.failed"}),
        filters=("customer", "payment_intent", "transfer_group"), writes=writes("cu"),
    ),
    Resource(
        "payment_intents", "payment_intent", "pi_", 12, "/v1/payment_intents",
        events=events("payment_intent", "created", succeeded="succeeded", canceled="canceled",
                      processing="processing", requires_action="requires_action",
                      requires_capture="amount_capturable_updated"),
        filters=("customer",), writes=writes("cu"), begins="requires_payment_method",
    ),
    Resource(
        "setup_intents", "setup_intent", "seti_", 3, "/v1/setup_intents",
        events=events("setup_intent", "created", succeeded="succeeded", canceled="canceled",
                      requires_action="requires_action"),
        filters=("attach_to_self", "customer", "payment_method"), writes=writes("cu"), begins="requires_payment_method",
    ),
    Resource(
        "setup_attempts", "setup_attempt", "setatt_", 0, "/v1/setup_attempts",
        child=Child("setup_intents", (1, 1, 0, 2), "/v1/setup_attempts?setup_intent={}", refers="setup_intent"),
        filters=("setup_intent",),
    ),
    Resource(
        "refunds", "refund", "re_", 2, "/v1/refunds", events=events("refund", "created updated", failed="failed"),
        filters=("charge", "payment_intent"), writes=writes("cu"),
    ),
    Resource(
        "disputes", "dispute", "du_", 0.4, "/v1/disputes",
        events=events("charge.dispute", "created updated", won="closed", lost="closed"),
        filters=("charge", "payment_intent"), writes=writes("u"),
    ),
    Resource(
        "balance_transactions", "balance_transaction", "txn_", 14, "/v1/balance_transactions",
        filters=("currency", "payout", "source", "type"),
    ),
    Resource(
        "payouts", "payout", "po_", 1, "/v1/payouts",
        events=events("payout", "created updated", paid="paid", failed="failed", canceled="canceled"),
        filters=("destination", "status"), writes=writes("cu"), begins="in_transit",
    ),
    Resource(
        "transfers", "transfer", "tr_", 1, "/v1/transfers", events=events("transfer", "created updated"),
        filters=("destination", "transfer_group"), writes=writes("cu"),
    ),
    Resource(
        "transfer_reversals", "transfer_reversal", "trr_", 0, None, created=None,
        child=Child("transfers", (0, 1, 0, 0, 2, 0, 11), "/v1/transfers/{}/reversals", "reversals", refers="transfer"),
        writes=writes("cu"),
    ),
    Resource(
        "application_fees", "application_fee", "fee_", 0.5, "/v1/application_fees",
        events=events("application_fee", "created"), filters=("charge",),
    ),
    Resource(
        "fee_refunds", "fee_refund", "fr_", 0, None, created=None,
        child=Child("application_fees", (0, 1, 0, 2, 0), "/v1/application_fees/{}/refunds", "refunds", refers="fee"),
        events=Events(None, "application_fee.refund.updated"), writes=writes("cu"),
    ),
    Resource(
        "topups", "topup", "tu_", 0.2, "/v1/topups",
        events=events("topup", "created", succeeded="succeeded", failed="failed", canceled="canceled"),
        filters=("amount", "status"), writes=writes("cu"), begins="pending",
    ),
    Resource("reviews", "review", "prv_", 0.2, "/v1/reviews", events=Events("review.opened")),
    Resource(
        "checkout_sessions", "checkout.session", "cs_", 3, "/v1/checkout/sessions",
        events=events("checkout.session", "", complete="completed", expired="expired"),
        filters=("customer", "payment_intent", "payment_link", "status", "subscription"), writes=writes("cu"),
        begins="open",
    ),
    Resource(
        "checkout_session_line_items", "item", "li_", 0, None, shape="line_item", created=None,
        child=Child("checkout_sessions", (1, 1, 2, 1, 11, 1, 1, 1), "/v1/checkout/sessions/{}/line_items",
                    expand="line_items"),
    ),
    Resource(
        "radar_early_fraud_warnings", "radar.early_fraud_warning", "issfr_", 0.1, "/v1/radar/early_fraud_warnings",
        events=events("radar.early_fraud_warning", "created updated"), filters=("charge", "payment_intent"),
    ),
)  # fmt: skip
