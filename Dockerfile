# syntax=docker/dockerfile:1
# Feat as a small image without root. The same image is API, worker and tool for operators:
#   docker run --rm feat:latest help

FROM rust:1-slim-trixie AS build
WORKDIR /src
COPY . .
# The caches outlive a build; what they hold does not end up in the image.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --release --locked --package cli --bin feat \
    && cp target/release/feat /usr/local/bin/feat

FROM debian:trixie-slim
# Certificate authorities: for the S3 store and every other outside service.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --no-create-home --shell /usr/sbin/nologin feat \
    && install --directory --owner feat --group feat --mode 0750 /var/lib/feat/files
COPY --from=build /usr/local/bin/feat /usr/local/bin/feat

USER 10001
WORKDIR /var/lib/feat
# A worker answers the same questions about its health at the same place as the API.
ENV FEAT_API__LISTEN=0.0.0.0:8080 \
    FEAT_WORKER__LISTEN=0.0.0.0:8080
EXPOSE 8080
# Alive, not ready: a lost database is no reason to replace the container.
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s --retries=3 \
    CMD ["feat", "health", "--url", "http://127.0.0.1:8080/livez"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["feat"]
CMD ["api"]
