"""`python -m tests.faults.prepare SHOP_URL`: the schema and the demo's world on a stage's database, as JSON.

Run in a process of its own with the settings of all the stage's processes, so that passwords are hashed and
secrets encrypted as theirs.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from flask_migrate import upgrade
from sqlalchemy import select

from portal import create_app
from portal.core.actors import SYSTEM
from portal.core.db import db, hot, transaction
from portal.core.ids import public_id
from portal.core.modes import Mode
from portal.demo.seed import seed_demo
from portal.merchants.models import Store
from portal.reference import configuration as config
from portal.reference import setting_changes
from portal.settings import get_settings
from portal.webhooks.service import check_endpoint_url, set_endpoint

# An hour in the demo: payins leave while a soak of some minutes goes on.
WINDOW_S = 300
# Short, so that a lease (twice this and ten seconds) runs out within a test.
WEBHOOK_TIMEOUT_S = 2


def prepare(shop_url: str) -> dict[str, Any]:
    with create_app().app_context():
        upgrade()
        world = seed_demo(get_settings().public_url, shop_url)
        hook = check_endpoint_url(f"{shop_url}/hook", Mode.LIVE)
        with transaction():
            setting_changes.set_value(config.WEBHOOK_TIMEOUT_S.key, WEBHOOK_TIMEOUT_S, SYSTEM)
            # The load is one shop that nobody has paid yet, with all the traders to itself.
            for limit in (
                config.EXPOSURE_STORE_REQUISITES,
                config.EXPOSURE_STORE_OPEN,
                config.EXPOSURE_STORE_CLAIMED,
            ):
                setting_changes.set_value(limit.key, 1_000_000, SYSTEM)
            setting_changes.set_value(config.EXPOSURE_STORE_SHARE_PERCENT.key, 100, SYSTEM)
            hot("UPDATE requisite SET window_s = %(s)s WHERE window_s = 3600", {"s": WINDOW_S})
            store_id = db.session.scalars(select(Store.id).where(Store.name == "Simulated shop")).one()
            _, secret = set_endpoint(store_id, Mode.LIVE, hook)
        return world | {"simulated_store_id": public_id("st", store_id), "hook_secret": secret}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(prepare(sys.argv[1])))
