"""A run of dlt: its rest_api source into PostgreSQL.

Set up as "Optimizing dlt" in its documentation advises: whole pages are yielded, the resources are read side by side,
nested values stay JSON (`max_table_nesting=0`), files are loaded by COPY (`csv`), one worker of the normaliser a core.
Customers and invoices are replaced at each run, as dlt's own Stripe source does with what may change.
"""

import os

import dlt
from dlt.sources.rest_api import rest_api_source

source = rest_api_source(
    {
        "client": {
            "base_url": os.environ["PEER_URL"] + "/v1/",
            "headers": {"Stripe-Version": os.environ["PEER_VERSION"]},
            "auth": {"type": "bearer", "token": os.environ["PEER_KEY"]},
            "paginator": {
                "type": "cursor",
                "cursor_path": "data[-1].id",
                "cursor_param": "starting_after",
                "has_more_path": "has_more",
            },
        },
        "resource_defaults": {
            "primary_key": "id",
            "write_disposition": "replace",
            "parallelized": True,
            "endpoint": {"params": {"limit": 100}, "data_selector": "data"},
        },
        "resources": ["customers", "invoices"],
    },
    max_table_nesting=0,
    parallelized=True,
)
pipeline = dlt.pipeline(
    "stripe",
    destination=dlt.destinations.postgres(os.environ["PEER_DATABASE"]),
    dataset_name="dlt_stripe",
    pipelines_dir=os.environ["PEER_STATE"],
)
pipeline.run(source, loader_file_format="csv").raise_on_failed_jobs()
