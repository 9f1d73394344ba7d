# docker build -t feedback-gateway .
# docker run --rm -v gateway:/data feedback-gateway gateway keys create --role admin
# docker run -v gateway:/data -p 8000:8000 -e OPENAI_API_KEY --stop-timeout 40 feedback-gateway
#
# Keys are required, and the server doesn't start before there is one: the second line makes it, in the volume that
# the third one serves from. Your own config.toml goes to /data/config.toml. The stop timeout is above [server] drain_s.

FROM node:22-slim AS app
WORKDIR /src/frontend
COPY frontend/package.json frontend/package-lock.json ./
RUN npm ci --no-audit --no-fund
COPY frontend ./
RUN npm run build:app

FROM python:3.11-slim AS build
RUN pip install --no-cache-dir uv==0.13.8
ENV UV_COMPILE_BYTECODE=1 UV_LINK_MODE=copy UV_PYTHON_DOWNLOADS=never
WORKDIR /app
# The dependencies first: this layer stays as long as the lock does.
COPY pyproject.toml uv.lock ./
RUN uv sync --locked --no-dev --no-install-project
COPY README.md LICENSE ./
COPY gateway gateway
COPY --from=app /src/gateway/web/static gateway/web/static
RUN uv sync --locked --no-dev --no-editable

FROM python:3.11-slim
RUN useradd --system --uid 10001 gateway && install -d -o gateway -g gateway /data
COPY --from=build /app/.venv /app/.venv
ENV PATH=/app/.venv/bin:$PATH \
    GATEWAY_AUTH__REQUIRE_KEYS=always \
    GATEWAY_STORE__URL=sqlite:////data/gateway.db
USER gateway
# A named volume takes /data's owner over; a directory of yours mounted there must be writable for uid 10001.
WORKDIR /data
VOLUME /data
EXPOSE 8000
# http.client and not urlopen, which would ask a proxy where HTTP_PROXY is set.
HEALTHCHECK --interval=10s --timeout=5s --start-period=10s CMD ["python", "-c", "import http.client, os; \
c = http.client.HTTPConnection('127.0.0.1', int(os.environ.get('GATEWAY_SERVER__PORT', 8000)), timeout=3); \
c.request('GET', '/healthz'); raise SystemExit(c.getresponse().status != 200)"]
CMD ["gateway", "serve", "--host", "0.0.0.0"]
