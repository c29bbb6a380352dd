# syntax=docker/dockerfile:1

FROM python:3.13-slim AS build
WORKDIR /source
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY proto proto
COPY config config
COPY exporters exporters
COPY collector collector
# chDB asks for pandas and pyarrow, which make data frames: a fifth of the image, and never loaded here.
RUN python -m venv --without-pip /opt/spanhouse \
 && pip --python /opt/spanhouse/bin/python install --no-cache-dir --constraint constraints.txt '.[embedded,demo]' \
 && pip --python /opt/spanhouse/bin/python uninstall --yes pandas pyarrow
# Compiled for any processor of the architecture, since the image need not run where it was built.
ENV NUMBA_CPU_NAME=generic \
    SPANHOUSE_KERNEL_CACHE=/opt/spanhouse/kernels
# Away from the sources, so that the installed package is what is compiled.
WORKDIR /
RUN /opt/spanhouse/bin/python -m proto.warm

FROM python:3.13-slim
LABEL org.opencontainers.image.title="spanhouse" \
      org.opencontainers.image.description="An OpenTelemetry-compatible span collector: OTLP in, ClickHouse out, traces back." \
      org.opencontainers.image.licenses="Apache-2.0"
RUN useradd --system --uid 10001 --home-dir /var/lib/spanhouse --create-home spanhouse
COPY --from=build --chown=spanhouse:spanhouse /opt/spanhouse /opt/spanhouse
COPY config/examples/container.yaml /etc/spanhouse/collector.yaml
ENV PATH=/opt/spanhouse/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    NUMBA_CPU_NAME=generic \
    SPANHOUSE_KERNEL_CACHE=/opt/spanhouse/kernels
USER 10001
WORKDIR /var/lib/spanhouse
VOLUME /var/lib/spanhouse
EXPOSE 4317 4318 4319
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:4319/healthz', timeout=4)"]
ENTRYPOINT ["spanhouse"]
CMD ["run", "-c", "/etc/spanhouse/collector.yaml"]
