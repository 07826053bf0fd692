"""Products, subscriptions, invoices and what belongs to them: the second third of the catalogue."""

from headrace.testing.stripe.resources import Child, Events, Resource, events, writes

BILLING = (
    Resource(
        "products", "product", "prod_", 0.6, "/v1/products", long=False, events=events("product"),
        filters=("active", "shippable", "type", "url"), writes=writes("cud"),
    ),
    Resource(
        "prices", "price", "price_", 1, "/v1/prices", events=events("price"),
        filters=("active", "currency", "product", "type"), writes=writes("cu"),
    ),
    Resource(
        "plans", "plan", "plan_", 0.4, "/v1/plans", long=False, events=events("plan"),
        filters=("active", "product"), writes=writes("cud"),
    ),
    Resource("coupons", "coupon", "", 0.3, "/v1/coupons", long=False, events=events("coupon"), writes=writes("cud")),
    Resource(
        "promotion_codes", "promotion_code", "promo_", 0.3, "/v1/promotion_codes",
        events=events("promotion_code", "created updated"), filters=("active", "code", "coupon", "customer"),
        writes=writes("cu"),
    ),
    Resource(
        "subscriptions", "subscription", "sub_", 4, "/v1/subscriptions",
        events=Events("customer.subscription.created", "customer.subscription.updated", None,
                      {"canceled": "customer.subscription.deleted"}),
        filters=("collection_method", "customer", "plan", "price", "status", "test_clock"),
        hidden=("status", "canceled"), writes=writes("cud"), begins="active",
    ),
    Resource(
        "subscription_items", "subscription_item", "si_", 0, "/v1/subscription_items", long=False, created=None,
        child=Child("subscriptions", (1, 1, 2, 1, 1, 3, 1, 1, 12, 1, 1, 1), "/v1/subscription_items?subscription={}",
                    "items", refers="subscription"),
        filters=("subscription",), writes=writes("cud"),
    ),
    Resource(
        "subscription_schedules", "subscription_schedule", "sub_sched_", 0.4, "/v1/subscription_schedules",
        events=events("subscription_schedule", "created updated", canceled="canceled", released="released"),
        filters=("customer", "scheduled"), writes=writes("cu"),
    ),
    Resource(
        "invoices", "invoice", "in_", 8, "/v1/invoices",
        events=events("invoice", paid="paid", open="finalized", void="voided", uncollectible="marked_uncollectible"),
        filters=("collection_method", "customer", "status", "subscription"), writes=writes("cud"),
        deletable_status="draft", begins="draft",
    ),
    Resource(
        "invoice_lines", "line_item", "il_", 0, None, shape="invoice_line", created=None,
        child=Child("invoices", (1, 2, 1, 1, 3, 1, 12, 1, 1, 2, 1, 1, 4, 1, 1, 2, 1, 25, 1, 1, 1, 2, 1, 1, 1),
                    "/v1/invoices/{}/lines", "lines", refers="invoice"),
        writes=writes("cud"),
    ),
    Resource(
        "invoice_payments", "invoice_payment", "inpay_", 1, "/v1/invoice_payments",
        events=Events(None, None, None, {"paid": "invoice_payment.paid"}), filters=("invoice", "status"),
    ),
    Resource(
        "invoice_rendering_templates", "invoice_rendering_template", "inrtem_", 0.1, "/v1/invoice_rendering_templates",
        created=None, filters=("status",),
    ),
    Resource(
        "invoiceitems", "invoiceitem", "ii_", 3, "/v1/invoiceitems", created="date",
        events=events("invoiceitem", "created deleted"), filters=("customer", "invoice", "pending"),
        writes=writes("cud"),
    ),
    Resource(
        "credit_notes", "credit_note", "cn_", 0.5, "/v1/credit_notes",
        events=events("credit_note", "created updated", void="voided"), filters=("customer", "invoice"),
        writes=writes("cu"),
    ),
    Resource(
        "credit_note_lines", "credit_note_line_item", "cnli_", 0, None, shape="credit_note_line", created=None,
        child=Child("credit_notes", (1, 1, 2, 11), "/v1/credit_notes/{}/lines", "lines"),
    ),
    Resource(
        "tax_rates", "tax_rate", "txr_", 0.2, "/v1/tax_rates", events=events("tax_rate", "created updated"),
        filters=("active", "inclusive"), writes=writes("cu"),
    ),
    Resource("tax_codes", "tax_code", "txcd_", 0.2, "/v1/tax_codes", created=None),
    Resource(
        "shipping_rates", "shipping_rate", "shr_", 0.2, "/v1/shipping_rates", filters=("active", "currency"),
        writes=writes("cu"),
    ),
    Resource(
        "quotes", "quote", "qt_", 0.4, "/v1/quotes", created=None,
        events=events("quote", "created", accepted="accepted", canceled="canceled", open="finalized"),
        filters=("customer", "status", "test_clock"), writes=writes("cu"), begins="draft",
    ),
    Resource(
        "quote_line_items", "item", "li_q", 0, None, shape="line_item", created=None,
        child=Child("quotes", (1, 2, 1, 12), "/v1/quotes/{}/line_items", expand="line_items"),
    ),
    Resource(
        "payment_links", "payment_link", "plink_", 0.2, "/v1/payment_links", created=None,
        events=events("payment_link", "created updated"), filters=("active",), writes=writes("cu"),
    ),
    Resource(
        "payment_link_line_items", "item", "li_p", 0, None, shape="line_item", created=None,
        child=Child("payment_links", (1, 1, 3), "/v1/payment_links/{}/line_items", expand="line_items"),
    ),
    Resource(
        "billing_credit_grants", "billing.credit_grant", "credgr_", 0.2, "/v1/billing/credit_grants", created=None,
        events=events("billing.credit_grant", "created updated"), filters=("customer",), writes=writes("cu"),
    ),
    Resource(
        "billing_meters", "billing.meter", "mtr_", 0.1, "/v1/billing/meters", created=None,
        events=events("billing.meter", "created updated", inactive="deactivated", active="reactivated"),
        filters=("status",), writes=writes("cu"),
    ),
    Resource(
        "billing_portal_configurations", "billing_portal.configuration", "bpc_", 0.1,
        "/v1/billing_portal/configurations", created=None,
        events=events("billing_portal.configuration", "created updated"), filters=("active", "is_default"),
        writes=writes("cu"),
    ),
)  # fmt: skip
