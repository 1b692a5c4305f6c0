"""`make catalogue`: write down what the migrations make, from a database of our own."""

from __future__ import annotations

import os

from tests import servers as running


def main() -> None:
    os.environ.update(running.PLAIN_SETTINGS)
    servers = running.start_servers()
    try:
        running.wait_for_template(servers.folder)
        url = running.database_url_of(servers.database_url, servers.template)
        os.environ.update(DATABASE_URL=url, REDIS_URL=servers.redis_url)
        from portal import create_app
        from portal.core.schema import catalogue

        with create_app().app_context():
            catalogue.FILE.write_text(catalogue.as_file(catalogue.read_catalogue()), encoding="utf-8")
            from portal.core.db import db

            db.session.remove()
            db.engine.dispose()
    finally:
        servers.stop()


if __name__ == "__main__":
    main()
