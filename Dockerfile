# CPU only: torch comes from its CPU index, which saves several gigabytes of GPU libraries.
FROM python:3.11.11-slim-bookworm AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python -m venv /opt/marketlens
ENV PATH=/opt/marketlens/bin:$PATH
# The heavy layers first: they change only with the versions.
RUN pip install --index-url https://download.pytorch.org/whl/cpu torch==2.13.* torchvision==0.28.*
WORKDIR /src
COPY pyproject.toml constraints.txt LICENSE README.md marketlens.py progress.py settings.py ./
COPY api api
COPY command_line command_line
COPY db db
COPY etl etl
COPY models models
COPY observability observability
COPY ops ops
COPY sample sample
COPY workers workers
RUN pip install --constraint constraints.txt .

FROM python:3.11.11-slim-bookworm
COPY --from=build /opt/marketlens /opt/marketlens
ENV PATH=/opt/marketlens/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    MARKETLENS_DATA_DIR=/var/lib/marketlens
RUN useradd --system --uid 10001 --home-dir /var/lib/marketlens --create-home marketlens
USER marketlens
WORKDIR /var/lib/marketlens
VOLUME /var/lib/marketlens
EXPOSE 8000
ENTRYPOINT ["marketlens"]
CMD ["api"]
