"""PostgreSQL and a Redis-compatible server from Python wheels, for development, demo and tests only."""

from portal.embedded.postgres import EmbeddedPostgres
from portal.embedded.redis import EmbeddedRedis

__all__ = ["EmbeddedPostgres", "EmbeddedRedis"]
