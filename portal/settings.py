"""Environment and `.env` -> one typed object. Nothing else in Nostro reads the environment."""

from __future__ import annotations

import os
import re
import socket
import sys
from contextlib import suppress
from email.utils import parseaddr
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from portal.core.secret_strength import refuse_weak

# Refused below but for trials on one's own machine.
DEVELOPMENT_SECRET = "development-only-not-for-production"  # noqa: S105
LOCAL_HOSTS = frozenset({"localhost", "127.0.0.1", "::1"})

_COMMAND_MARK = "FLASK_RUN_FROM_CLI"


_ROLE = re.compile(r"[a-z_][a-z0-9_]{0,62}", re.ASCII)


class SettingsError(SystemExit):
    """The start stops here, with one sentence for each value that is missing or malformed."""


class Settings(BaseSettings):
    """What one process needs to know before it can talk to anything."""

    # The demo writes the first of these, so that `flask` beside a demo speaks to it; .env wins over it.
    model_config = SettingsConfigDict(
        env_file=("var/demo/environment", ".env"), env_file_encoding="utf-8", extra="ignore", frozen=True
    )

    # Nobody gets published secrets or an open mailbox by leaving something out.
    environment: Literal["development", "test", "production"] = "production"
    database_url: SecretStr
    # Owns the tables: migrates and restores, never serves. None: DATABASE_URL does that too.
    database_owner_url: SecretStr | None = None
    # Roles of the whole server; another installation on the same one has names of its own.
    database_writer_role: str = "nostro_writer"
    database_reader_role: str = "nostro_reader"
    redis_url: SecretStr
    public_url: str = "http://localhost:8000"
    # Names under which the house answers besides that of PUBLIC_URL.
    allowed_hosts: Annotated[tuple[str, ...], NoDecode] = ()
    secret_key: SecretStr = SecretStr(DEVELOPMENT_SECRET)
    # Field encryption: "id:secret" pairs, the first one encrypts, all decrypt.
    field_keys: Annotated[tuple[str, ...], NoDecode] = (f"dev:{DEVELOPMENT_SECRET}",)
    blind_index_key: SecretStr = SecretStr(DEVELOPMENT_SECRET)
    # The chains over money, access and settings: "id:secret" pairs, the first one seals, all prove. Never in the database.
    chain_keys: Annotated[tuple[str, ...], NoDecode] = (f"dev:{DEVELOPMENT_SECRET}",)
    # Encrypts backups: 32 characters or more, kept apart from them. None: given as a file each time.
    backup_key: SecretStr | None = None
    uploads_dir: Path = Path("var/uploads")
    # Requests of one process that may wait until their file is read; each holds a thread, and three more do meanwhile.
    uploads_waiting: int = Field(default=8, ge=0, le=100)
    # Heads of the audit log's chain are exported here; best on another machine's disk. None: not at all.
    audit_heads_dir: Path | None = None
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    # "auto": JSON in production, readable elsewhere. "off" is for tests.
    log_format: Literal["auto", "json", "off"] = "auto"
    # What runs: a commit or an image's tag. In logs, metrics and Sentry.
    release: str = ""
    # All processes of this machine write their metrics here; `flask metrics` serves them. None: each its own.
    metrics_dir: Path | None = None
    sentry_dsn: SecretStr = SecretStr("")
    # Where no proxy leads /streams/ to the streams' process: its own port on the host that the page came from.
    streams_port: int | None = Field(default=None, ge=1, le=65535)
    trusted_proxies: int = Field(default=0, ge=0, le=5)
    db_pool_size: int = Field(default=4, ge=1, le=200)
    db_pool_timeout_s: float = Field(default=2.0, gt=0)
    db_statement_timeout_ms: int = Field(default=5000, ge=100)
    db_idle_in_transaction_timeout_s: int = Field(default=10, ge=1)
    db_lock_timeout_ms: int = Field(default=2000, ge=50)
    redis_timeout_s: float = Field(default=0.3, gt=0)
    # Outgoing mail. Without a server it waits in production, and lands in the mailbox page in development.
    smtp_host: str | None = None
    smtp_port: int = Field(default=587, ge=1, le=65535)
    smtp_user: str | None = None
    smtp_password: SecretStr = SecretStr("")
    smtp_security: Literal["starttls", "tls", "none"] = "starttls"
    mail_from: str = "Nostro <nostro@localhost>"
    webhooks_allow_http: bool = False
    egress_ports: Annotated[tuple[int, ...], NoDecode] = (443,)
    # Networks that outgoing calls may reach although they are not public.
    egress_allow_networks: Annotated[tuple[IPv4Network | IPv6Network, ...], NoDecode] = ()

    @field_validator(
        "allowed_hosts", "field_keys", "chain_keys", "egress_ports", "egress_allow_networks", mode="before"
    )
    @classmethod
    def _split(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value

    @field_validator(
        "smtp_host", "smtp_user", "audit_heads_dir", "backup_key", "streams_port", "database_owner_url",
        mode="before",
    )  # fmt: skip
    @classmethod
    def _none_if_empty(cls, value: object) -> object:
        return value or None

    @field_validator("allowed_hosts")
    @classmethod
    def _names_of_hosts(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        hosts = tuple(host.lower() for host in value)
        if any(urlsplit(f"//{host}").hostname != host or "*" in host for host in hosts):
            raise ValueError("must be names such as pay.example.com, separated by commas")
        return hosts

    @field_validator("egress_allow_networks")
    @classmethod
    def _networks_of_ones_own(
        cls, value: tuple[IPv4Network | IPv6Network, ...]
    ) -> tuple[IPv4Network | IPv6Network, ...]:
        widest = {4: 8, 6: 7}
        for network in value:
            if network.prefixlen < widest[network.version]:
                raise ValueError(f"must be networks of yours: {network} is half of the internet or more")
        return value

    @field_validator("mail_from")
    @classmethod
    def _sender(cls, value: str) -> str:
        if not value.isprintable() or "@" not in parseaddr(value)[1]:
            raise ValueError("must be an address such as Nostro <nostro@example.com>")
        return value

    @field_validator("field_keys", "chain_keys")
    @classmethod
    def _keys_have_ids(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not value or any(":" not in key or not key.split(":", 1)[1] for key in value):
            raise ValueError("must be one or more 'id:secret' pairs, separated by commas")
        return value

    @field_validator("database_writer_role", "database_reader_role")
    @classmethod
    def _plain_role(cls, value: str) -> str:
        if not _ROLE.fullmatch(value):
            raise ValueError("must be a role of small letters, digits and _, such as nostro_writer")
        return value

    @field_validator("database_url", "database_owner_url")
    @classmethod
    def _postgres(cls, value: SecretStr | None) -> SecretStr | None:
        """Accept the common spellings; SQLAlchemy needs to be told which driver to use."""
        if value is None:
            return None
        scheme, _, rest = value.get_secret_value().partition("://")
        if scheme not in {"postgres", "postgresql", "postgresql+psycopg"} or not rest:
            raise ValueError("must be a postgresql:// address")
        return SecretStr(f"postgresql+psycopg://{rest}")

    @field_validator("redis_url")
    @classmethod
    def _redis(cls, value: SecretStr) -> SecretStr:
        if urlsplit(value.get_secret_value()).scheme not in {"redis", "rediss", "unix"}:
            raise ValueError("must be a redis://, rediss:// or unix:// address")
        return value

    @field_validator("public_url")
    @classmethod
    def _http_origin(cls, value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme not in {"http", "https"} or not parts.hostname or parts.path not in {"", "/"}:
            raise ValueError("must be an http(s) origin such as https://pay.example.com")
        return value.rstrip("/")

    @model_validator(mode="after")
    def _one_database(self) -> Settings:
        """Else a copy beside the installation would migrate the installation's."""
        owner = self.database_owner_url
        if owner is not None and _database_of(owner) != _database_of(self.database_url):
            raise ValueError("DATABASE_OWNER_URL must name the same database as DATABASE_URL")
        if self.database_writer_role == self.database_reader_role:
            raise ValueError("DATABASE_READER_ROLE must be another role than DATABASE_WRITER_ROLE")
        return self

    @model_validator(mode="after")
    def _secrets_are_ones_own(self) -> Settings:
        secrets = self._named_secrets()
        published = [name for name, secret in secrets if DEVELOPMENT_SECRET in secret]
        if self.environment != "production" and (self.is_on_own_machine or not published):
            return self
        if self.environment != "production":
            raise ValueError(
                f"{published[0]} must be a secret of your own where PUBLIC_URL is not on localhost"
            )
        if published:
            raise ValueError(f"{published[0]} must be a secret of your own in production{self._way_out}")
        refuse_weak(secrets, self._way_out)
        return self

    @model_validator(mode="after")
    def _production_is_encrypted(self) -> Settings:
        if self.environment != "production":
            return self
        if not self.is_https:
            raise ValueError(f"PUBLIC_URL must be https in production{self._way_out}")
        if self.smtp_user and self.smtp_security == "none":
            raise ValueError(
                "SMTP_SECURITY must be starttls or tls: the mail server's password would be readable"
            )
        return self

    def _named_secrets(self) -> list[tuple[str, str]]:
        """Each secret that something is signed, hashed or encrypted with, by the name of its variable."""
        backup = self.backup_key.get_secret_value() if self.backup_key else None
        return [
            ("SECRET_KEY", self.secret_key.get_secret_value()),
            ("BLIND_INDEX_KEY", self.blind_index_key.get_secret_value()),
            *(
                (f"{variable} ({name})", secret)
                for variable, keys in (("FIELD_KEYS", self.field_keys), ("CHAIN_KEYS", self.chain_keys))
                for name, _, secret in (key.partition(":") for key in keys)
            ),
            *([("BACKUP_KEY", backup)] if backup else []),
        ]

    @property
    def _way_out(self) -> str:
        """For whoever wanted to try something out and left ENVIRONMENT out."""
        is_said = "environment" in self.model_fields_set
        return "" if is_said else " (for a copy on localhost alone, set ENVIRONMENT=development)"

    @property
    def public_host(self) -> str:
        return urlsplit(self.public_url).hostname or ""

    @property
    def is_on_own_machine(self) -> bool:
        """Whether the house answers to whoever sits at this machine, and nobody else."""
        return self.public_host in LOCAL_HOSTS

    @property
    def is_https(self) -> bool:
        return self.public_url.startswith("https://")

    def secrets(self) -> list[str]:
        """Every secret value among these settings: what no log line may contain."""
        found = [value.get_secret_value() for _name, value in self if isinstance(value, SecretStr)]
        passwords = [urlsplit(value).password or "" for value in found if "://" in value]
        return found + passwords + [key.split(":", 1)[1] for key in (*self.field_keys, *self.chain_keys)]

    @property
    def has_mailbox(self) -> bool:
        """Whether mail lands in a page that everybody can read: only where nobody is real and no mail goes out."""
        is_trial = self.environment != "production" and self.is_on_own_machine and not self.is_https
        return is_trial and self.smtp_host is None


def _database_of(url: SecretStr) -> str:
    return urlsplit(url.get_secret_value()).path


@lru_cache(maxsize=1)
def get_settings() -> Settings:
    """Read the settings once. Raises SettingsError with a sentence that names each bad value."""
    try:
        return Settings()
    except ValidationError as error:
        raise SettingsError(_sentences(error)) from None


class LaunchSettings(BaseSettings):
    """What is read before there are any addresses: by whoever starts the servers and processes."""

    model_config = SettingsConfigDict(
        env_file=".env", env_file_encoding="utf-8", env_ignore_empty=True, extra="ignore", frozen=True
    )

    environment: Literal["development", "test", "production"] = "development"
    database_url: SecretStr | None = None
    database_owner_url: SecretStr | None = None
    redis_url: SecretStr | None = None
    port: int = Field(default=8000, ge=1, le=65532)
    # Another build of PostgreSQL (its bin directory) or Redis (its server) than the wheels'.
    pgbin: Path | None = None
    redis_bin: Path | None = None
    # Where the demo keeps everything, seen from the checkout.
    var_dir: Path = Path("var")
    # Keep the running demo's simulator from placing orders.
    demo_quiet: bool = False


def launch_settings() -> LaunchSettings:
    """Read them now. Raises SettingsError with a sentence that names each bad value."""
    try:
        return LaunchSettings()
    except ValidationError as error:
        raise SettingsError(_sentences(error)) from None


def is_flask_command() -> bool:
    """Whether this process is a `flask ...` command and not a server."""
    return os.environ.get(_COMMAND_MARK) == "true"


# Who starts a process may give it a pipe to say in that it is ready.
_READY = "NOSTRO_READY_FD"


def ready_variable(descriptor: int) -> dict[str, str]:
    """For the environment of a process that inherits this end of a pipe and says there that it is ready."""
    return {_READY: str(descriptor)}


def say_ready() -> None:
    """Tell whoever started this process that it works from now on; nothing when nobody wants to know."""
    descriptor = os.environ.pop(_READY, "")
    if descriptor.isdecimal():
        with suppress(OSError):
            os.write(int(descriptor), b"1")
            os.close(int(descriptor))


def inherited_socket() -> socket.socket | None:
    """The socket that systemd has opened for this process (a `.socket` unit), if it did."""
    if os.environ.get("LISTEN_PID") != str(os.getpid()) or os.environ.get("LISTEN_FDS") != "1":
        return None
    return socket.socket(fileno=3)


def set_for_library(name: str, value: str) -> None:
    """Put a variable where a library looks for it that reads the environment by itself."""
    os.environ[name] = value


# glibc keeps up to eight pools of memory for each core: a web process with threads takes a sixth more with them.
_FEW_POOLS = {"MALLOC_ARENA_MAX": "2"}


def child_environment(**changes: str) -> dict[str, str]:
    """This process's environment with changes, for a process it starts.

    A server that a command starts is no command: Flask's own mark for one stays behind.
    """
    ours = {name: value for name, value in os.environ.items() if name != _COMMAND_MARK}
    return _FEW_POOLS | ours | changes


def _sentences(error: ValidationError) -> str:
    lines = []
    for problem in error.errors(include_input=False, include_url=False):
        name = str(problem["loc"][0]).upper() if problem["loc"] else ""
        if problem["type"] == "missing":
            lines.append(f"{name} is not set; set it in the environment or in .env (see .env.example).")
        else:
            message = problem["msg"].removeprefix("Value error, ")
            lines.append(f"{name} {message}." if name else f"{message}.")
    return "Nostro cannot start:\n  " + "\n  ".join(lines)


def exit_if_malformed() -> None:
    """Stop the process with the sentences on stderr and exit code 2 (for entry points)."""
    try:
        get_settings()
    except SettingsError as error:
        sys.stderr.write(f"{error}\n")
        raise SystemExit(2) from None
