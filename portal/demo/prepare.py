"""`python -m portal.demo.prepare`: the schema and the demo's world, in a process of its own.

Run by the demo with the settings of all its processes; writes what it found or made for the next start.
"""

from __future__ import annotations

from flask_migrate import upgrade

from portal import create_app
from portal.core.db import transaction
from portal.demo import place
from portal.demo.finished import finish_some_orders
from portal.demo.seed import seed_demo
from portal.settings import get_settings


def prepare(base_url: str, shop_url: str) -> None:
    app = create_app()
    with app.app_context():
        upgrade()
        world = seed_demo(base_url, shop_url, place.read_private(place.WORLD))
        place.write_private(place.WORLD, world)
        place.write_private(place.SIMULATION, world["simulation"])
        with transaction():
            finish_some_orders(world["store_id"])


if __name__ == "__main__":
    base = get_settings().public_url
    host, _, port = base.rpartition(":")
    prepare(base, f"{host}:{int(port) + 1}")
