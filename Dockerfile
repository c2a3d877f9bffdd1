# CPU only: torch comes from its CPU index, which saves several gigabytes of GPU libraries.
FROM python:3.11.11-slim-bookworm AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python -m venv /opt/marketlens
ENV PATH=/opt/marketlens/bin:$PATH
# The heavy layers first: they change only with the versions.
RUN pip install --no-deps --index-url https://download.pytorch.org/whl/cpu torch==2.13.* torchvision==0.28.*
WORKDIR /src
COPY requirements.lock ./
# No file is taken that is not in the lock, which is complete: nothing is resolved.
RUN pip install --require-hashes --no-deps --requirement requirements.lock
COPY pyproject.toml LICENSE README.md marketlens.py progress.py settings.py ./
COPY api api
COPY command_line command_line
COPY db db
COPY etl etl
COPY models models
COPY observability observability
COPY ops ops
COPY sample sample
COPY workers workers
# Built by the setuptools of the lock. What runs needs no pip.
RUN pip install --no-deps --no-build-isolation . && pip check && pip uninstall --yes pip

# What the image consists of (CycloneDX). A stage of its own: its tools can change nothing of it.
FROM python:3.11.11-slim-bookworm AS sbom
RUN pip install --no-cache-dir --disable-pip-version-check cyclonedx-bom==7.5.0
COPY pyproject.toml /src/pyproject.toml
COPY --from=build /opt/marketlens /opt/marketlens
RUN cyclonedx-py environment /opt/marketlens/bin/python --pyproject /src/pyproject.toml \
    --output-reproducible --output-format JSON --output-file /sbom.cdx.json

FROM python:3.11.11-slim-bookworm
COPY --from=build /opt/marketlens /opt/marketlens
COPY --from=sbom /sbom.cdx.json /opt/marketlens/sbom.cdx.json
ENV PATH=/opt/marketlens/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    MARKETLENS_DATA_DIR=/var/lib/marketlens
# By number: Kubernetes' `runAsNonRoot` can't know whether a name is root.
RUN groupadd --system --gid 10001 marketlens \
    && useradd --system --uid 10001 --gid 10001 --home-dir /var/lib/marketlens --create-home marketlens \
    && chmod 0700 /var/lib/marketlens
USER 10001:10001
WORKDIR /var/lib/marketlens
VOLUME /var/lib/marketlens
EXPOSE 8000
ENTRYPOINT ["marketlens"]
CMD ["api"]
