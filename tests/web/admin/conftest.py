"""Two administrators, one of them at a browser."""

from __future__ import annotations

import pytest
from flask import Flask

from tests.web.admin.office import Office


@pytest.fixture
def office(in_context: Flask) -> Office:
    return Office(in_context)
