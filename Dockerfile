# The web application, as compose.yaml starts it. /data holds uploads and results.
FROM python:3.12-slim
COPY pyproject.toml README.md LICENSE /mien/
COPY src /mien/src
COPY docs/responsible-use.md /mien/docs/
RUN pip install --no-cache-dir '/mien[web,postgres]' && useradd --create-home mien && install -d -o mien /data
USER mien
ENV MIEN_DATA_DIR=/data
VOLUME /data
EXPOSE 8700
CMD ["mien", "serve"]
