"""Recorded answers that no test reads, and why not. `test_evidence.py` holds the list to what there is."""

WRITING = "answers a write, and the connector makes none"
UNASKED = "answers a request that the connector does not make"
MADE_FOR_A_CLIENT = "made for one page or device of a customer, and dies within the hour: no list has it"
INSIDE = "stands inside other objects, where it is kept as it is: no list has it"
NO_COLLECTION = "Stripe lists it, and it is no collection of the connector's (docs/providers/stripe.md lists those)"
BY_PARAMETER = "is listed below another object only, and is no collection of the connector's"
COMPUTED = "a figure of now that has no id of its own"
ENTERPRISE = "of the administration of an enterprise account, which the connector does not read"

UNREAD: dict[str, dict[str, str]] = {
    "airtable": {
        "BaseShares": ENTERPRISE,
        "EnterpriseInfo": ENTERPRISE,
        "Package": ENTERPRISE,
        "PersonalAccessToken": ENTERPRISE,
        "UserGroup": ENTERPRISE,
        "UserInfo": ENTERPRISE,
        "UserRemoved": WRITING,
        "ViewSchema": UNASKED,
        "WorkspaceCollaborators": ENTERPRISE,
    },
    "salesforce": {
        "create_success_response": WRITING,
        "get_updated_success_response": UNASKED,
        "list_view_results_success_response": UNASKED,
        "query_aggregate_success_response": UNASKED,
        "recent_success_response": UNASKED,
        "search_success_response": UNASKED,
        "upsert_created_success_response": WRITING,
        "upsert_multiple_error_response": WRITING,
    },
    "stripe": {
        **dict.fromkeys(
            (
                "account_link", "account_session", "billing_portal.session", "confirmation_token", "customer_session",
                "ephemeral_key", "financial_connections.session", "login_link", "terminal.connection_token",
                "terminal.onboarding_link", "token",
            ),
            MADE_FOR_A_CLIENT,
        ),
        **dict.fromkeys(
            (
                "application", "bank_account", "card", "discount", "funding_instructions", "mandate", "payment_source",
                "financial_connections.account_owner", "financial_connections.account_ownership",
                "payment_intent_amount_details_line_item", "radar.payment_evaluation", "source_mandate_notification",
                "source_transaction", "tax.association", "treasury.financial_account_features",
            ),
            INSIDE,
        ),
        **dict.fromkeys(
            (
                "balance", "balance_settings", "billing.alert_triggered", "billing.credit_balance_summary",
                "billing.meter_event", "billing.meter_event_adjustment", "cash_balance",
                "entitlements.active_entitlement_summary", "exchange_rate", "tax.settings",
            ),
            COMPUTED,
        ),
        **dict.fromkeys(
            (
                "billing.credit_balance_transaction", "billing.meter_event_summary", "capability",
                "entitlements.active_entitlement", "person", "product_feature", "radar.value_list_item",
                "tax.calculation", "tax.calculation_line_item", "tax.transaction_line_item", "terminal.refund",
            ),
            BY_PARAMETER,
        ),
        **dict.fromkeys(
            (
                "apple_pay_domain", "apps.secret", "billing.alert", "climate.order", "climate.product",
                "climate.supplier", "country_spec", "entitlements.feature", "financial_connections.account",
                "financial_connections.authorization", "financial_connections.transaction", "forwarding.request",
                "identity.verification_report", "issuing.personalization_design", "issuing.physical_bundle",
                "issuing.settlement", "issuing.token", "payment_attempt_record", "payment_record", "radar.value_list",
                "reporting.report_type", "reserve.hold", "reserve.plan", "reserve.release", "scheduled_query_run",
                "sigma.sigma_api_query", "tax.registration", "tax.transaction", "terminal.configuration",
                "treasury.credit_reversal", "treasury.debit_reversal", "treasury.financial_account",
                "treasury.inbound_transfer", "treasury.outbound_payment", "treasury.outbound_transfer",
                "treasury.received_credit", "treasury.received_debit", "treasury.transaction",
                "treasury.transaction_entry",
            ),
            NO_COLLECTION,
        ),
    },
}  # fmt: skip
