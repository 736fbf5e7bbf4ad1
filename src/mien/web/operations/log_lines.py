"""The server's log as lines of JSON, for what collects the logs of many servers."""

import json
import logging
from datetime import UTC, datetime


class JsonLines(logging.Formatter):
    """Each record as one line: time, level, logger, message, and the traceback of an error."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return json.dumps(line)


def log_json() -> None:
    """From here on everything that is logged goes to stderr so; of mien itself also what is worth knowing when all is well."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLines())
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.getLogger("mien").setLevel(logging.INFO)
