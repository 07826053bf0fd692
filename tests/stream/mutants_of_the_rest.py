"""What is broken of the promises that parts beside the log and its consumers keep."""

from mutant import Mutant

OF_THE_REST = (
    Mutant(
        "ids-of-chance",
        "a record's id is the same for ever",
        "../ids.py",
        "sha1(namespace + upstream_id.encode(), ",
        'sha1(namespace + upstream_id.encode() + __import__("os").urandom(8), ',
        asked=("test_append.py",),
    ),
    Mutant(
        "composite-unordered",
        "a composite id is joined in the order declared",
        "../providers/kit/rows.py",
        '"/".join(map(str, ids))',
        '"/".join(sorted(map(str, ids)))',
        asked=("../providers/test_rows.py",),
    ),
    Mutant(
        "other-parents-children",
        "only the parent's own children are deleted",
        "append.sql",
        "and parent_id = $3 and collection_id = $4",
        "and $3::text is not null and collection_id = $4",
        asked=("test_append.py",),
    ),
    Mutant(
        "signed-links-count",
        "every reading has one shape",
        "../providers/stripe/collections.py",
        'volatile=("receipt_url",)',
        "volatile=()",
        asked=("../testing/test_laws.py::test_all_readings_are_quiet",),
    ),
    Mutant(
        "jobs-of-another-shape",
        "every reading has one shape",
        "../providers/salesforce/bulk.py",
        'return cell[:-1] + "+0000"',
        "return cell",
        asked=("../testing/test_salesforce_laws.py::test_a_job_reads_the_records_as_the_pages_do",),
    ),
    Mutant(
        "half-window-lost",
        "a window is read to its end before its bound moves",
        "../engine/walking.py",
        "for window in cut]",
        "for window in cut][:1]",
        asked=("../engine/test_walking.py",),
    ),
    Mutant(
        "too-large-untold",
        "an answer that is too large is asked for in smaller pages",
        "../engine/transport.py",
        "if TOO_LARGE in request.accept:",
        "if False:",
        asked=("../engine/test_transport.py",),
    ),
    Mutant(
        "sync-of-before",
        "`sync{}` is that of now",
        "../api/record_rendering.py",
        "self._common: dict[tuple[UUID, str], str] = {}",
        'self._common: dict[tuple[UUID, str], str] = globals().setdefault("_kept", {})',
        asked=("../api/test_api_records.py",),
    ),
    Mutant(
        "tokens-of-before",
        "tokens of before a restore do nothing",
        "../engine/after_restore.sql",
        "set token_key = $3",
        "set token_key = coalesce(token_key, $3)",
        asked=("../server/test_after_restore.py",),
    ),
)
