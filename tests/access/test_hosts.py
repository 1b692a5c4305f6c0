"""Which names the house answers under, and what it refuses to start with."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from flask import Flask

from portal.settings import DEVELOPMENT_SECRET, Settings, SettingsError, get_settings
from tests.servers import PUBLIC_SETTINGS
from tests.web.desk import Desk, open_desk

Env = Callable[..., Settings]
SERVERS = {"DATABASE_URL": "postgresql://nostro@localhost/nostro", "REDIS_URL": "redis://localhost/0"}
PRODUCTION = SERVERS | PUBLIC_SETTINGS | {"ENVIRONMENT": "production"}
GOOD = "hU3kPz8VbNq1XwLr6TyMd0SfGj5CeA9o"


@pytest.fixture
def app(committing_app: Flask) -> Iterator[Flask]:
    with committing_app.app_context():
        yield committing_app


@pytest.fixture
def desk(app: Flask) -> Desk:
    return open_desk(app)


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> Iterator[Env]:
    """Start with these variables and no others, as a fresh machine would."""

    def start(**values: str) -> Settings:
        for name in Settings.model_fields:
            monkeypatch.delenv(name.upper(), raising=False)
        for name, value in values.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setitem(Settings.model_config, "env_file", None)
        get_settings.cache_clear()
        return get_settings()

    yield start
    monkeypatch.undo()
    get_settings.cache_clear()


def refusal(start: Env, **values: str) -> str:
    with pytest.raises(SettingsError) as refused:
        start(**values)
    return str(refused.value)


PATHS = (
    "/",
    "/sign-in",
    "/docs",
    "/api/v1/orders",
    "/api/v1/openapi.json",
    "/static/portal/portal.css",
    "/nowhere",
    "/pay/x",
)


@pytest.mark.proves("tried S19")
@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "localhost.evil.example",
        "evil.example:8000",
        "localhost@evil.example",
        "localhost:x",
        "a b",
        "127.0.0.2",
    ],
)
def test_no_page_and_no_call_is_served_under_another_name(app: Flask, host: str) -> None:
    for path in PATHS:
        answer = app.test_client().get(path, headers={"Host": host})
        assert answer.status_code == 400, path
        assert "evil" not in answer.text
    for probe in ("/healthz", "/readyz"):
        assert app.test_client().get(probe, headers={"Host": host}).status_code in {200, 503}


@pytest.mark.proves("tried S19")
def test_the_houses_own_names_are_served(desk: Desk, started: Env) -> None:
    client = desk.app.test_client()
    for host in ("localhost", "localhost:8000", "LOCALHOST:8000", "127.0.0.1:9000", "[::1]:8000"):
        assert client.get("/sign-in", headers={"Host": host}).status_code == 200, host
    started(**PRODUCTION, ALLOWED_HOSTS="Pay2.example.com, 10.0.0.5")
    for host, status in (
        ("pay.example.com", 200), ("pay.example.com:443", 200), ("pay2.example.com", 200), ("10.0.0.5", 200),
        ("localhost", 400), ("pay3.example.com", 400),
    ):  # fmt: skip
        assert client.get("/sign-in", headers={"Host": host}).status_code == status, host


@pytest.mark.proves("tried S19")
def test_a_payment_page_is_not_drawn_under_another_name(desk: Desk) -> None:
    from portal.core.crypto import derived_token

    path = f"/pay/{derived_token('payment', desk.payin().id)}"
    client = desk.app.test_client()
    assert client.get(path).status_code == 200
    answer = client.get(path, headers={"Host": "evil.example"})
    assert answer.status_code == 400
    assert desk.requisite.number_last4 not in answer.text


@pytest.mark.proves("tried S13")
@pytest.mark.parametrize("url", ["http://localhost:8000", "https://pay.example.com", "http://10.0.0.5"])
def test_whoever_says_nothing_of_the_environment_gets_no_published_secret(started: Env, url: str) -> None:
    said = refusal(started, **SERVERS, PUBLIC_URL=url)
    assert "SECRET_KEY must be a secret of your own in production" in said
    assert "set ENVIRONMENT=development" in said


@pytest.mark.proves("tried S13")
@pytest.mark.parametrize("environment", ["development", "test"])
@pytest.mark.parametrize(
    "url",
    ["https://pay.example.com", "http://pay.example.com", "http://10.0.0.5", "http://localhost.evil.example"],
)
def test_published_secrets_stay_on_ones_own_machine(started: Env, environment: str, url: str) -> None:
    said = refusal(started, **SERVERS, ENVIRONMENT=environment, PUBLIC_URL=url)
    assert "SECRET_KEY must be a secret of your own where PUBLIC_URL is not on localhost" in said
    for local in ("http://localhost:8000", "http://127.0.0.1:8000", "http://[::1]:8000"):
        assert started(**SERVERS, ENVIRONMENT=environment, PUBLIC_URL=local).has_mailbox
    elsewhere = started(**SERVERS | PUBLIC_SETTINGS | {"ENVIRONMENT": environment, "PUBLIC_URL": url})
    assert not elsewhere.has_mailbox


@pytest.mark.proves("tried S19")
@pytest.mark.parametrize("name", ["SECRET_KEY", "BLIND_INDEX_KEY", "FIELD_KEYS", "CHAIN_KEYS", "BACKUP_KEY"])
@pytest.mark.parametrize(
    "secret",
    [
        "a" * 64,
        "abcd" * 16,
        "0123456789abcdefghijklmnopqrstuvwxyz",
        "changeme" * 5,
        "short",
        f"{DEVELOPMENT_SECRET}-changed",
    ],
)
def test_production_starts_with_no_secret_that_can_be_guessed(started: Env, name: str, secret: str) -> None:
    value = f"2026:{GOOD},2025:{secret}" if name.endswith("_KEYS") else secret
    assert f"{name}" in refusal(started, **PRODUCTION | {name: value})
    good = f"2026:{GOOD}" if name.endswith("_KEYS") else GOOD
    assert started(**PRODUCTION | {name: good}).environment == "production"


@pytest.mark.proves("tried S19")
def test_one_secret_serves_one_purpose(started: Env) -> None:
    for name, value in (("BLIND_INDEX_KEY", GOOD), ("FIELD_KEYS", f"2026:{GOOD}"), ("BACKUP_KEY", GOOD)):
        said = refusal(started, **PRODUCTION | {"SECRET_KEY": GOOD, name: value})
        assert f"SECRET_KEY and {name}" in said
        assert "must not be the same secret" in said
        assert GOOD not in said


@pytest.mark.proves("tried S19")
@pytest.mark.parametrize(
    "network", ["0.0.0.0/0", "::/0", "0.0.0.0/1,128.0.0.0/1", "10.0.0.0/8,0.0.0.0/0", "2000::/3"]
)
def test_outgoing_calls_are_never_let_everywhere(started: Env, network: str) -> None:
    said = refusal(started, **PRODUCTION, EGRESS_ALLOW_NETWORKS=network)
    assert "EGRESS_ALLOW_NETWORKS must be networks of yours" in said
    assert started(**PRODUCTION, EGRESS_ALLOW_NETWORKS="10.0.0.0/8,fc00::/7").egress_allow_networks


@pytest.mark.parametrize(
    "hosts", ["*", "*.example.com", "https://pay.example.com", "pay.example.com/x", "pay.example.com:443"]
)
def test_another_name_is_a_plain_name(started: Env, hosts: str) -> None:
    assert "ALLOWED_HOSTS must be names" in refusal(started, **PRODUCTION, ALLOWED_HOSTS=hosts)
