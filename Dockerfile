# One image for every role: web by default; streams, worker, relay, clock and metrics as other commands.
FROM python:3.11-slim-bookworm AS packages
COPY requirements.txt /
RUN python -m venv /venv \
 && /venv/bin/pip install --no-cache-dir --disable-pip-version-check --require-hashes -r /requirements.txt

FROM python:3.11-slim-bookworm
# pg_dump and pg_restore as old as the server of compose.yaml (Debian's own are older): what `flask backup` calls.
RUN apt-get update \
 && apt-get install -y --no-install-recommends postgresql-common ca-certificates \
 && /usr/share/postgresql-common/pgdg/apt.postgresql.org.sh -y \
 && apt-get install -y --no-install-recommends postgresql-client-18 \
 && rm -rf /var/lib/apt/lists/*
RUN useradd --system --uid 10001 --no-create-home nostro \
 && install -d -o nostro -g nostro /srv/nostro/var/uploads /srv/nostro/var/audit
COPY --from=packages /venv /venv
WORKDIR /srv/nostro
COPY wsgi.py ./
COPY migrations migrations
COPY static static
COPY templates templates
COPY portal portal
ENV PATH=/venv/bin:$PATH FLASK_APP=wsgi:app ENVIRONMENT=production PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 TZ=UTC \
    MALLOC_ARENA_MAX=2
# docker build --build-arg RELEASE=$(git rev-parse --short HEAD)
ARG RELEASE=
ENV RELEASE=$RELEASE
USER nostro
VOLUME /srv/nostro/var/uploads /srv/nostro/var/audit
EXPOSE 8000
CMD ["gunicorn", "--config", "python:portal.workers.web_server", "--bind", "0.0.0.0:8000", "wsgi:app"]
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s \
  CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/healthz', timeout=2)"]
