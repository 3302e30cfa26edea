# The image of logsluice: the program and CA certificates, nothing else. `make image` builds it.
# deploy/image_test.go checks it.

# The compiler runs on the machine's architecture and compiles for the image's.
FROM --platform=$BUILDPLATFORM golang:1.26 AS source
WORKDIR /source
COPY go.mod go.sum ./
RUN --mount=type=cache,target=/go/pkg/mod go mod download
COPY . .

FROM source AS build
ARG TARGETOS TARGETARCH VERSION=devel
RUN --mount=type=cache,target=/go/pkg/mod --mount=type=cache,target=/go/build \
    GOCACHE=${GOCACHE:-/go/build} CGO_ENABLED=0 GOOS=$TARGETOS GOARCH=$TARGETARCH \
    go build -trimpath -ldflags "-s -w -X main.version=$VERSION" -o /logsluice .

FROM source AS build-produce
ARG TARGETOS TARGETARCH
RUN --mount=type=cache,target=/go/pkg/mod --mount=type=cache,target=/go/build \
    GOCACHE=${GOCACHE:-/go/build} CGO_ENABLED=0 GOOS=$TARGETOS GOARCH=$TARGETARCH \
    go build -trimpath -ldflags "-s -w" -o /produce ./local/produce

# The log producer of compose.yaml.
FROM scratch AS produce
COPY --from=build-produce /produce /produce
USER 65532:65532
ENTRYPOINT ["/produce"]

FROM scratch AS logsluice
COPY --from=source /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /logsluice /logsluice
# A numeric user, so that Kubernetes and others can check that it is not root.
USER 65532:65532
# For the health check.
ENV METRICS_ADDRESS=:9100
EXPOSE 9100
HEALTHCHECK --interval=10s --timeout=5s --start-period=10s --retries=3 CMD ["/logsluice", "healthcheck"]
ENTRYPOINT ["/logsluice"]
CMD ["run"]
ARG VERSION=devel REVISION= CREATED= SOURCE=
LABEL org.opencontainers.image.title="logsluice" \
      org.opencontainers.image.description="CloudWatch logs from a Kinesis data stream into OpenSearch" \
      org.opencontainers.image.source="$SOURCE" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$REVISION" \
      org.opencontainers.image.created="$CREATED"
