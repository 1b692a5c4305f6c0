"""What all workloads of one run share."""

from __future__ import annotations

from dataclasses import dataclass

from bench.databases import Databases
from bench.world import World
from bench.yardstick import Table

CLIENTS = 16


@dataclass
class Run:
    """One run: its databases, what is in them, how long to measure, and where the figures go."""

    table: Table
    databases: Databases
    dsn: str  # of the database that the HTTP workloads run on
    world: World
    postmaster: int
    seconds: float  # of one round of an HTTP workload
    rounds: int
    repeats: int  # of every call of a workload inside this process
    past_orders: int  # history of the lists and of matching
    grown_orders: int  # history of the growth workload


def floor_dsn(dsn: str) -> str:
    return f"{dsn}&options=-c%20search_path%3Dfloor%2Cpublic"
