# The command `thumbsmith`, with all extras: `docker build -t thumbsmith .`
FROM python:3.13-slim-trixie AS build
# The compiler for the native decoder. Its version does not matter, and old versions disappear from Debian's archive.
# hadolint ignore=DL3008
RUN apt-get update && apt-get install -y --no-install-recommends gcc libc6-dev && rm -rf /var/lib/apt/lists/*
RUN python -m venv /opt/thumbsmith
ENV PATH=/opt/thumbsmith/bin:$PATH
COPY requirements/base.txt /src/requirements/base.txt
RUN pip install --no-cache-dir --require-hashes -r /src/requirements/base.txt
COPY pyproject.toml hatch_build.py README.md LICENSE /src/
COPY src /src/src
RUN pip install --no-cache-dir --no-deps --no-build-isolation /src && python -m compileall -q /opt/thumbsmith

FROM python:3.13-slim-trixie
COPY --from=build /opt/thumbsmith /opt/thumbsmith
ENV PATH=/opt/thumbsmith/bin:$PATH PYTHONUNBUFFERED=1
# Not root, and nothing of the image belongs to this user. /tmp is the only folder that is written to.
USER 10001:10001
WORKDIR /tmp
EXPOSE 8080 9090
ENTRYPOINT ["thumbsmith"]
CMD ["--help"]
