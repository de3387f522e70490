# Two stages: the toolchain builds one static binary, and nothing else is in the image.
FROM golang:1.26 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN CGO_ENABLED=0 go build -ldflags='-s -w' -o /crimp ./cmd/crimp

FROM scratch
LABEL org.opencontainers.image.title="crimp" \
      org.opencontainers.image.description="A fault-injecting TCP middlebox for test labs" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /crimp /crimp
USER 65532:65532
# The control port and the web route of "crimp demo"; a configuration may name others.
EXPOSE 27467 8080
# The binary asks itself, so the image needs no shell and no curl.
HEALTHCHECK --interval=10s --timeout=3s --start-period=5s --retries=3 \
  CMD ["/crimp", "wait", "ready", "--timeout", "1s"]
ENTRYPOINT ["/crimp"]
CMD ["serve"]
