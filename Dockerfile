# The service without torch: models run from ONNX. Build: docker build -t tagtrace .
# Run: docker run -p 8000:8000 -v tagtrace:/data -e TAGTRACE_SECRET=… -e TAGTRACE_PUBLIC_URL=https://… tagtrace
FROM python:3.12-slim AS build
WORKDIR /src
COPY . .
RUN python -m venv /venv \
    && /venv/bin/pip install --no-cache-dir --no-deps --require-hashes -r locks/serve.txt \
    && /venv/bin/pip install --no-cache-dir --no-deps --no-build-isolation .

FROM python:3.12-slim
RUN useradd --system --uid 10001 --create-home tagtrace && mkdir /data && chown tagtrace:tagtrace /data
COPY --from=build /venv /venv
USER tagtrace
WORKDIR /data
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1 \
    TAGTRACE_HOST=0.0.0.0 TAGTRACE_STORE=/data/store.db TAGTRACE_PHOTOS=/data/photos
EXPOSE 8000
VOLUME /data
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s \
    CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8000/health/ready', timeout=4)"]
CMD ["tagtrace", "serve"]
