# Two stages: the first has pip, the build backend and what writes the bill of materials, the second only what runs.
# Every download is checked against a hash in the lock files.
# A tag moves: name what you ship by its digest, --build-arg PYTHON_IMAGE=python@sha256:...
ARG PYTHON_IMAGE=python:3.13-slim-bookworm

FROM ${PYTHON_IMAGE} AS build
# The same commit gives the same files: what would be told the time is told this one, the first that a wheel can hold,
# and what would be ordered by chance is not.
ARG SOURCE_DATE_EPOCH=315532800
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1 \
    PIP_NO_COMPILE=1 \
    PIP_ROOT_USER_ACTION=ignore \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONHASHSEED=0 \
    SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH}
WORKDIR /src

# The slow layers first: they change only with the locks.
COPY requirements.lock requirements-build.lock requirements-image.lock ./
RUN python -m venv /build \
 && /build/bin/pip install --require-hashes --requirement requirements-build.lock
RUN python -m venv /bill \
 && /bill/bin/pip install --require-hashes --requirement requirements-image.lock
RUN python -m venv --without-pip /app \
 && /build/bin/pip --python /app/bin/python install --only-binary :all: --require-hashes --requirement requirements.lock

COPY pyproject.toml LICENSE README.md ./
COPY service service
RUN /build/bin/pip wheel --no-deps --no-build-isolation --wheel-dir /wheels . \
 && /build/bin/pip --python /app/bin/python install --no-deps --no-index /wheels/*.whl

# What is installed, as CycloneDX tells it: each Python package with its version. The base image's own are not in it.
RUN /bill/bin/cyclonedx-py environment --pyproject pyproject.toml --output-reproducible \
    --output-format JSON --output-file /app/sbom.cdx.json /app

# Never read when the service runs: NumPy's tests, sources of what is compiled, and stubs for type checkers.
RUN find /app/lib -depth -type d -path '*/numpy/*' -name tests -exec rm -r {} + \
 && find /app/lib -type f -regex '.*\.\(a\|c\|cpp\|f\|f90\|h\|hpp\|pxd\|pxi\|pyi\|pyx\)' -delete
# Compiled here, as nothing is written at run time; a module is not looked at again for changes that cannot come.
RUN /app/bin/python -m compileall -q --invalidation-mode unchecked-hash /app/lib \
 && find /app -exec touch --no-dereference --date=@${SOURCE_DATE_EPOCH} {} +
# The base image brings the standard library's sources alone; what the service imports of them is compiled as well, for
# half of the time that it takes to start.
RUN /app/bin/python -c "import sys, gradient_service.cli; files = [getattr(each, '__file__', None) or '' for each in sys.modules.values()]; print(*sorted({name for name in files if name.startswith(sys.base_prefix) and name.endswith('.py')}), sep='\n')" > /modules \
 && /app/bin/python -m compileall -q --invalidation-mode unchecked-hash -i /modules \
 && mkdir /compiled \
 && find /usr/local/lib -path '*/__pycache__/*.pyc' -not -path '*/site-packages/*' -exec cp --parents --target-directory /compiled {} + \
 && find /compiled -exec touch --date=@${SOURCE_DATE_EPOCH} {} +

FROM ${PYTHON_IMAGE}
LABEL org.opencontainers.image.title="gradient-service" \
      org.opencontainers.image.licenses="Apache-2.0" \
      gradient-service.sbom="/app/sbom.cdx.json"
ENV PATH=/app/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
COPY --from=build /app /app
COPY --from=build /compiled /
WORKDIR /
USER 10001:10001
EXPOSE 8000
# No shell, no curl, and no proxy of the environment: `open` raises, and so exits with 1, unless the answer is 2xx. A
# busy service is alive, and is not to be ended for it.
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s --retries=3 \
  CMD ["python", "-c", "from urllib.request import ProxyHandler, build_opener; build_opener(ProxyHandler({})).open('http://127.0.0.1:8000/livez', timeout=2)"]
ENTRYPOINT ["gradient-service"]
CMD ["serve", "--host", "0.0.0.0", "--port", "8000"]
