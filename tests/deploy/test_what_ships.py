"""What an operator gets: every command of deploy/ starts, nginx of Debian 12 takes its file, and people reach the house."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import pytest
import redis as redis_client
import yaml

from tests import servers
from tests.conftest import Worker
from tests.core.certificates import make_certificate
from tests.deploy.shipping import COMPOSE, HANGS_S, ROOT, Shipped, free_port, services, until

pytestmark = [pytest.mark.stages, pytest.mark.timeout(1200)]
PASSWORD = "correct horse battery"
_MAKE_SAM = f"""
from wsgi import app
from portal.core.db import transaction
from portal.identity.models import Role
from portal.identity.service import create_user
with app.app_context(), transaction():
    print(create_user("sam@example.test", "Sam", "{PASSWORD}", [Role.SUPPORT]).id)
"""


@pytest.fixture(scope="module")
def nginx() -> str:
    path = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
    if path is None:
        missing = "Debian's nginx is not installed"
        pytest.fail(missing) if os.environ.get("CI") == "true" else pytest.skip(missing)
    return path


@pytest.fixture
def shipped(worker: Worker, tmp_path: Path, redis: redis_client.Redis) -> Iterator[Shipped]:
    """An installation on an empty database, before its `migrate` has run."""
    name = worker.name_of("shipped")
    servers.create_database(worker.database_url, name, "template0")
    yield Shipped(
        tmp_path, servers.database_url_of(worker.database_url, name), worker.redis_url,
        f"https://localhost:{free_port()}",
    )  # fmt: skip
    servers.drop_databases(worker.database_url, name)


def nginx_conf(shipped: Shipped) -> Path:
    """deploy/nginx.conf with this machine's ports, in the frame that Debian's own nginx.conf puts around it."""
    port = shipped.public_url.rpartition(":")[2]
    text = (ROOT / "deploy/nginx.conf").read_text(encoding="utf-8")
    for theirs, ours in (
        ("server web:8000;", f"server 127.0.0.1:{shipped.port_of('web')};"),
        ("server streams:8000;", f"server 127.0.0.1:{shipped.port_of('streams')};"),
        ("listen 80;", f"listen 127.0.0.1:{free_port()};"),
        ("listen 443 ", f"listen 127.0.0.1:{port} "),
        ("/etc/nginx/certificates", str(shipped.folder)),
        ("/dev/stdout", str(shipped.folder / "access.log")),
        ("/dev/stderr", str(shipped.folder / "error.log")),
    ):
        assert theirs in text, theirs
        text = text.replace(theirs, ours)
    for name, content in zip(("fullchain.pem", "privkey.pem"), make_certificate("localhost"), strict=True):
        (shipped.folder / name).write_bytes(content)
    (shipped.folder / "house.conf").write_text(text, encoding="utf-8")
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    temporary = "".join(f"{kind}_temp_path {shipped.folder}/{kind};" for kind in kinds)
    frame = shipped.folder / "nginx.conf"
    frame.write_text(
        f"daemon off; user root; pid {shipped.folder}/nginx.pid; error_log {shipped.folder}/error.log; events {{}}"
        f" http {{ access_log off; {temporary} include {shipped.folder}/house.conf; }}",
        encoding="utf-8",
    )
    return frame


@contextmanager
def house_of(shipped: Shipped, nginx: str) -> Iterator[httpx.Client]:
    """Everything that compose.yaml runs of ours behind nginx; yields a browser that trusts its certificate."""
    shipped.run(*shipped.command_of("migrate"))
    frame = nginx_conf(shipped)
    with ExitStack() as house:
        for name in services():
            if name != "migrate":
                house.enter_context(shipped.running(name))
        house.enter_context(
            shipped.running("nginx", nginx, "-c", str(frame), "-e", str(shipped.folder / "error.log"))
        )
        browser = house.enter_context(
            httpx.Client(
                base_url=shipped.public_url,
                verify=str(shipped.folder / "fullchain.pem"),
                timeout=HANGS_S,
                headers={"Sec-Fetch-Site": "same-origin"},
            )
        )
        for name in ("web", "streams"):
            address = f"http://127.0.0.1:{shipped.port_of(name)}/healthz"
            until(lambda address=address: _answers(address), f"{name} answering")
        yield browser


def _answers(address: str) -> bool:
    try:
        return httpx.get(address, timeout=10).status_code == 200
    except httpx.HTTPError:
        return False


@pytest.mark.proves("tried N1")
def test_everything_in_compose_starts_from_what_ships_and_people_reach_it_through_nginx(
    shipped: Shipped, nginx: str, redis: redis_client.Redis
) -> None:
    with house_of(shipped, nginx) as browser:
        sam = shipped.run("python", "-c", _MAKE_SAM).strip()
        page = browser.get("/sign-in")
        token = page.text.partition('name="csrf_token" value="')[2].partition('"')[0]
        form = {"csrf_token": token, "email": "sam@example.test", "password": PASSWORD}
        signed_in = browser.post("/sign-in", data=form)
        assert signed_in.status_code == 303, signed_in.text[:500]
        assert browser.get("/account").status_code == 200
        assert page.headers["Strict-Transport-Security"]
        with browser.stream("GET", "/streams/bell", headers={"Accept": "text/event-stream"}) as stream:
            assert stream.status_code == 200
            events = (line for line in stream.iter_lines() if line.startswith("event: "))
            assert next(events) == "event: bell"
            redis.publish(f"live:user:{sam}", b"1")
            assert next(events) == "event: bell"
        metrics = f"http://127.0.0.1:{shipped.port_of('metrics')}/metrics"
        figures = until(
            lambda: (text := httpx.get(metrics, timeout=30).text).count("nostro_processes{") >= 5 and text,
            "figures of every process",
        )
        assert "nostro_live_streams" in figures
        until(lambda: browser.get("/readyz").status_code == 200, "readiness")
    for name in set(services()) - {"migrate"}:
        lines = shipped.log_of(name).read_text(encoding="utf-8").splitlines()
        roles = {json.loads(line)["role"] for line in lines}
        assert roles <= {name, "cli"}, (name, roles)


@pytest.mark.proves("tried N1")
def test_nginx_of_debian_takes_the_file(shipped: Shipped, nginx: str) -> None:
    frame = nginx_conf(shipped)
    error_log = str(shipped.folder / "error.log")
    done = subprocess.run(
        [nginx, "-t", "-c", str(frame), "-e", error_log], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    version = subprocess.run([nginx, "-v"], capture_output=True, text=True, check=True).stderr
    assert re.search(r"nginx/1\.2\d", version), version


@pytest.mark.proves("tried N1")
def test_the_image_has_the_postgresql_client_of_the_server_beside_it() -> None:
    """`flask backup` needs a pg_dump that is as old as the server, and Debian 12's is older."""
    server = yaml.safe_load(COMPOSE.read_text(encoding="utf-8"))["services"]["postgres"]["image"]
    major = server.partition(":")[2].partition(".")[0]
    assert f"postgresql-client-{major} " in (ROOT / "Dockerfile").read_text(encoding="utf-8")
