"""What can be set about the web application, with units in the names; each also by an environment variable `MIEN_…`."""

import ipaddress
import os
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

TOKEN_LETTERS_MIN = 16
PASSWORD_LETTERS_MIN = 8


def default_data_dir() -> Path:
    """`$MIEN_HOME/web`, or the folder `web` in the platform's data folder for users."""
    home = os.environ.get("MIEN_HOME")
    if home:
        return Path(home) / "web"
    import platformdirs

    return platformdirs.user_data_path("mien", appauthor=False) / "web"


def _setting(default: Any, unit: str, meaning: str, **more: Any) -> Any:
    metadata = {"unit": unit, "meaning": meaning, **more}
    if callable(default):
        return field(default_factory=default, metadata=metadata)
    return field(default=default, metadata=metadata, repr=not more.get("secret", False))


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings of the web application. Raises `ValueError` for a value that cannot be.

    `password` and `token` are only passed on to `Security`, which keeps hashes; what `app.state.settings` holds is without them.
    """

    host: str = _setting("127.0.0.1", "", "the address to listen on; any but this machine's own demands a password or a token")
    port: int = _setting(8700, "", "the port to listen on; 0 takes a free one", least=0, most=65535)
    database_url: str = _setting("", "", "the database; empty: the SQLite file mien.sqlite3 in the data folder")
    data_dir: Path = _setting(default_data_dir, "", "the folder for uploads, results and the SQLite file")  # noqa: RUF009
    password: str = _setting("", "", f"the password of the pages, {PASSWORD_LETTERS_MIN} letters or more", secret=True)
    token: str = _setting("", "", f"the token for programs, {TOKEN_LETTERS_MIN} letters or more", secret=True)
    allowed_hosts: tuple[str, ...] = _setting((), "", "more names that this server is called by, divided by commas")
    public_url: str = _setting(
        "", "", "the address that people reach this server by, for links and QR codes; needs a password or token"
    )
    tls_cert: Path | None = _setting(None, "", "the file of a certificate, PEM: the server then speaks https")  # noqa: RUF009
    tls_key: Path | None = _setting(None, "", "the file of its key, PEM, where the certificate's file does not hold it")  # noqa: RUF009
    model: str = _setting("default", "", "the expression model, by name or folder")
    find_face_px: float = _setting(40.0, "px", "the width of the smallest face that is to be found for sure", least=4)
    upload_max_mib: int = _setting(4096, "MiB", "the largest file that is taken", least=1)
    film_max_minutes: int = _setting(240, "min", "the longest film that is analysed", least=1)
    picture_max_megapixels: int = _setting(50, "megapixels", "the largest picture, or frame of a film", least=1)
    jobs_at_once: int = _setting(1, "", "files that are analysed at the same time", least=1)
    cluster: str = _setting(
        "", "", "a Dask scheduler, such as tcp://scheduler:8786, whose workers do what takes long; empty: this machine does"
    )
    jobs_waiting_max: int = _setting(500, "", "files that may wait", least=1)
    job_max_minutes: int = _setting(720, "min", "the longest that one file may take", least=1)
    job_memory_max_mib: int = _setting(4096, "MiB", "the most memory that one file may take", least=1024)
    live_sockets_max: int = _setting(50, "", "live pages that may be open at the same time", least=1)
    participants_at_once_max: int = _setting(100, "", "participants of studies who may be measured at the same time", least=1)
    live_frame_max_kib: int = _setting(2048, "KiB", "the largest live picture", least=16)
    live_frame_max_megapixels: int = _setting(4, "megapixels", "the largest live picture", least=1)
    live_return_s: float = _setting(30.0, "s", "how long a live page that is gone may take to come back", least=0)
    recording_max_minutes: int = _setting(240, "min", "the longest recording", least=1)
    login_hours: int = _setting(168, "h", "how long a login holds", least=1)
    login_attempts_per_minute: int = _setting(10, "per min", "wrong passwords that one address may try", least=1)
    consents_per_minute: int = _setting(120, "per min", "how many may begin with a study from one address", least=1)
    trusted_proxies: tuple[str, ...] = _setting(
        (), "", "addresses or networks of the proxies whose X-Forwarded-For and -Proto are believed, divided by commas"
    )
    request_max_s: int = _setting(30, "s", "how long the head of a request may take to come", least=1)
    connections_max: int = _setting(2000, "", "connections at the same time", least=10)
    connections_per_address_max: int = _setting(500, "", "connections from one address at the same time", least=5)
    retention_days: int = _setting(
        0, "days", "after how long finished analyses are erased; 0 keeps them until they are erased", least=0
    )
    storage_max_gib: int = _setting(100, "GiB", "the most space that all analyses may take", least=1)
    drain_max_s: int = _setting(20, "s", "how long SIGTERM waits for tasks, recordings and participants under way", least=0)
    log_format: str = _setting("text", "", "how the server's log is written: text, or json for a line of JSON each")

    def __post_init__(self) -> None:
        for setting in fields(self):
            value, least, most = getattr(self, setting.name), setting.metadata.get("least"), setting.metadata.get("most")
            if least is not None and not (least <= value and (most is None or value <= most)):
                wanted = f"{least} or more" if most is None else f"{least} to {most}"
                raise ValueError(f"{setting.name}: wanted {wanted}, but got {value}")
        for name, letters in (("password", PASSWORD_LETTERS_MIN), ("token", TOKEN_LETTERS_MIN)):
            given = len(getattr(self, name))
            if 0 < given < letters:
                raise ValueError(f"{name}: wanted {letters} letters or more, but got {given}")
        if self.log_format not in ("text", "json"):
            raise ValueError(f"log_format: wanted text or json, but got {self.log_format!r}")
        if self.public_url:
            object.__setattr__(self, "public_url", _public(self.public_url))
        if self.tls_key and not self.tls_cert:
            raise ValueError("tls_key: wanted the certificate too, tls_cert")

        for proxy in self.trusted_proxies:
            try:
                ipaddress.ip_network(proxy, strict=False)
            except ValueError:
                raise ValueError(f"trusted_proxies: wanted addresses or networks such as 10.0.0.0/8, but got {proxy!r}") from None

    @classmethod
    def from_environment(cls, env: Mapping[str, str] = os.environ, **given: Any) -> "Settings":
        """The defaults, changed by `MIEN_<NAME>` of `env`, changed by what is `given`; None counts as not given.

        Raises `ValueError`, which names the variable, for a value that cannot be.
        """
        values: dict[str, Any] = {}
        for setting in fields(cls):
            text = env.get(variable(setting.name))
            if text is not None and text.strip():
                values[setting.name] = _parsed(variable(setting.name), text.strip(), str(setting.type))
        values |= {name: value for name, value in given.items() if value is not None}
        return cls(**values)

    @property
    def jobs_dir(self) -> Path:
        """Where each job has a folder of its own, named by its id."""
        return self.data_dir / "jobs"

    @property
    def studies_dir(self) -> Path:
        """Where each study has a folder of its own, named by its id."""
        return self.data_dir / "studies"

    @property
    def url(self) -> str:
        """The database's address, as SQLAlchemy reads it."""
        return self.database_url or f"sqlite:///{(self.data_dir / 'mien.sqlite3').absolute()}"

    @property
    def public_host(self) -> str:
        """The name, with the port where it is said, that people reach this server by: "faces.example.org"; empty where unknown."""
        return urlsplit(self.public_url).netloc

    @property
    def is_local(self) -> bool:
        """Whether only this machine can reach the server."""
        return is_loopback(self.host)


def variable(name: str) -> str:
    """The environment variable of a setting."""
    return f"MIEN_{name.upper()}"


def is_loopback(host: str) -> bool:
    """Whether a host's name or address is this machine's own and reached from nowhere else."""
    name = host.strip("[]").lower()
    if name == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def _public(url: str) -> str:
    """An address without a slash at its end. Raises `ValueError` for what is none, and for one that nobody else reaches."""
    try:
        parts = urlsplit(url)
        whole = parts.scheme in ("http", "https") and bool(parts.hostname) and f"{parts.scheme}://{parts.netloc}" == url.rstrip("/")
        alone = is_loopback(parts.hostname or "") or not (parts.port is None or parts.port > 0) or "@" in parts.netloc
    except ValueError:  # a port that is none
        whole = alone = False
    if not whole or alone:
        raise ValueError(f"public_url: wanted an address that others reach, such as https://faces.example.org, but got {url!r}")
    return f"{parts.scheme}://{parts.netloc.lower()}"


def _parsed(name: str, text: str, kind: str) -> Any:
    if "tuple" in kind:
        return tuple(part.strip() for part in text.split(",") if part.strip())
    if "Path" in kind:
        return Path(text).expanduser()
    if "int" in kind or "float" in kind:
        try:
            return int(text) if "int" in kind else float(text)
        except ValueError:
            raise ValueError(f"{name}: wanted a {'whole ' if 'int' in kind else ''}number, but got {text!r}") from None
    return text


class Setting(NamedTuple):
    """One line of the documented list."""

    name: str
    unit: str
    default: Any
    meaning: str


SETTINGS: tuple[Setting, ...] = tuple(
    Setting(f.name, f.metadata["unit"], "" if f.default in (MISSING, None) else f.default, f.metadata["meaning"])
    for f in fields(Settings)
)
"""Every setting, for the page that documents them."""
