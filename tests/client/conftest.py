from collections.abc import Iterator

import pytest
from scripted_server import Scripted, scripted_server


@pytest.fixture
def scripted() -> Iterator[Scripted]:
    with scripted_server() as script:
        yield script
