# Two stages: the first has pip and the build backend, the second only what runs.
# Every download is checked against a hash in the lock files.
ARG PYTHON_VERSION=3.13

FROM python:${PYTHON_VERSION}-slim-bookworm AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1 \
    PIP_ROOT_USER_ACTION=ignore
WORKDIR /src

# The slow layers first: they change only with the locks.
COPY requirements.lock requirements-build.lock ./
RUN python -m venv /build \
 && /build/bin/pip install --require-hashes --requirement requirements-build.lock
RUN python -m venv --without-pip /app \
 && /build/bin/pip --python /app/bin/python install --only-binary :all: --require-hashes --requirement requirements.lock

COPY pyproject.toml LICENSE README.md ./
COPY service service
RUN /build/bin/pip wheel --no-deps --no-build-isolation --wheel-dir /wheels . \
 && /build/bin/pip --python /app/bin/python install --no-deps --no-index /wheels/*.whl

FROM python:${PYTHON_VERSION}-slim-bookworm
LABEL org.opencontainers.image.title="gradient-service" \
      org.opencontainers.image.licenses="Apache-2.0"
# Modules are compiled in the first stage, so nothing needs to be written at run time.
ENV PATH=/app/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
COPY --from=build /app /app
WORKDIR /
USER 10001:10001
EXPOSE 8000
# No shell and no curl: urlopen raises, and so exits with 1, unless the answer is 2xx.
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s --retries=3 \
  CMD ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:8000/readyz', timeout=2)"]
ENTRYPOINT ["gradient-service"]
CMD ["serve", "--host", "0.0.0.0", "--port", "8000"]
