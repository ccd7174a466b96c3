# Backdesk's image: what requirements.lock names, less the development tools, run by a user without rights.

FROM python:3.13-slim AS build
WORKDIR /source
COPY requirements.lock ./
# One lock names everything. All of it is fetched and compared with its hashes here; the second step takes from these
# files, and from nowhere else, what the application itself depends on. So nothing unchecked gets in, nor any test tool.
RUN pip download --no-cache-dir --require-hashes --no-deps --requirement requirements.lock --dest /wheels
COPY pyproject.toml README.md LICENSE ./
COPY admin_app admin_app
COPY plugins plugins
COPY alembic alembic
RUN python -m venv /opt/backdesk \
    && /opt/backdesk/bin/pip install --no-cache-dir --no-index --find-links /wheels .

FROM python:3.13-slim
RUN useradd --system --user-group --uid 10001 --no-create-home --home-dir /data backdesk \
    && install --directory --owner=backdesk --group=backdesk --mode=0700 /data
COPY --from=build /opt/backdesk /opt/backdesk
ENV PATH=/opt/backdesk/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    BACKDESK_HOST=0.0.0.0 \
    BACKDESK_PORT=8000 \
    BACKDESK_DATA_DIR=/data
USER 10001
WORKDIR /data
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request as web; web.urlopen(f\"http://127.0.0.1:{os.environ['BACKDESK_PORT']}/healthz\", timeout=4)"]
CMD ["backdesk", "serve"]
