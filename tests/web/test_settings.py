"""Settings: defaults, the environment, what is refused."""

import dataclasses
from pathlib import Path

import pytest

from mien.web.settings import SETTINGS, Settings, is_loopback, variable


def test_defaults_need_no_configuration(user_home: Path) -> None:
    settings = Settings.from_environment({})
    assert (settings.host, settings.port, settings.is_local) == ("127.0.0.1", 8700, True)
    assert settings.data_dir == user_home / "home" / "web"
    assert settings.url == f"sqlite:///{user_home / 'home' / 'web' / 'mien.sqlite3'}"


def test_the_data_folder_is_the_platforms(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MIEN_HOME")
    folder = Settings().data_dir
    assert folder.is_absolute()
    assert folder.parts[-2:] == ("mien", "web")


def test_every_setting_comes_from_the_environment(tmp_path: Path) -> None:
    texts = {
        "host": "localhost",
        "database_url": "postgresql://h/d",
        "data_dir": str(tmp_path),
        "password": "p" * 8,
        "token": "t" * 16,
        "public_url": "https://faces.example.org",
        "tls_cert": str(tmp_path / "faces.pem"),
        "tls_key": str(tmp_path / "faces.key"),
    }
    texts |= {"cluster": "tcp://scheduler:8786"}
    texts |= {"allowed_hosts": "a.example, b.example", "model": "mien-small", "trusted_proxies": "127.0.0.1", "log_format": "json"}
    files = {"tls_cert": tmp_path / "faces.pem", "tls_key": tmp_path / "faces.key"}
    lists = {"allowed_hosts": ("a.example", "b.example"), "trusted_proxies": ("127.0.0.1",)}
    wanted = texts | files | lists | {"data_dir": tmp_path}
    for setting in dataclasses.fields(Settings):
        if setting.name not in texts:
            texts[setting.name] = "7777"
            wanted[setting.name] = 7777  # type: ignore[assignment]
    found = Settings.from_environment({variable(name): text for name, text in texts.items()})
    assert dataclasses.asdict(found) == wanted


def test_what_is_given_wins_over_the_environment() -> None:
    env = {"MIEN_PORT": "1234", "MIEN_HOST": "localhost"}
    settings = Settings.from_environment(env, port=99, host=None)
    assert (settings.port, settings.host) == (99, "localhost")
    assert Settings.from_environment({"MIEN_PORT": "  "}).port == 8700  # an empty variable is none


@pytest.mark.parametrize(
    ("env", "words"),
    [
        ({"MIEN_PORT": "eight"}, "MIEN_PORT: wanted a whole number, but got 'eight'"),
        ({"MIEN_LIVE_RETURN_S": "soon"}, "MIEN_LIVE_RETURN_S: wanted a number, but got 'soon'"),
        ({"MIEN_PORT": "70000"}, "port: wanted 0 to 65535, but got 70000"),
        ({"MIEN_JOBS_AT_ONCE": "0"}, "jobs_at_once: wanted 1 or more, but got 0"),
        ({"MIEN_LIVE_RETURN_S": "nan"}, "live_return_s: wanted 0 or more, but got nan"),
        ({"MIEN_LOG_FORMAT": "xml"}, "log_format: wanted text or json, but got 'xml'"),
        ({"MIEN_PASSWORD": "short"}, "password: wanted 8 letters or more, but got 5"),
        ({"MIEN_TRUSTED_PROXIES": "10.0.0.0/8, nginx"}, "trusted_proxies: wanted addresses or networks .*, but got 'nginx'"),
        *(
            (
                {"MIEN_PUBLIC_URL": url},
                "public_url: wanted an address that others reach, such as https://faces.example.org, but got",
            )
            for url in (
                "faces.example.org",
                "ftp://a.example",
                "https://a.example/mien",
                "http://127.0.0.1:8700",
                "https://localhost",
            )
        ),
        *(
            ({"MIEN_PUBLIC_URL": url}, "public_url: wanted")
            for url in ("https://a.example:x", "https://u@a.example", "https://[::1]")
        ),
        ({"MIEN_TLS_KEY": "faces.key"}, "tls_key: wanted the certificate too"),
        ({"MIEN_TOKEN": "fifteen-letters"}, "token: wanted 16 letters or more, but got 15"),
    ],
)
def test_what_cannot_be_is_refused(env: dict[str, str], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Settings.from_environment(env)


def test_secrets_are_not_shown() -> None:
    shown = repr(Settings(password="do not tell", token="do not tell anybody"))
    assert "do not tell" not in shown


@pytest.mark.parametrize(
    ("host", "local"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("localhost", True),
        ("::1", True),
        ("[::1]", True),
        ("0.0.0.0", False),
        ("::", False),
        ("192.168.1.5", False),
        ("127.0.0.1.example.org", False),
        ("localhost.example.org", False),
        ("", False),
    ],
)
def test_what_only_this_machine_reaches(host: str, local: bool) -> None:
    assert is_loopback(host) is local


def test_the_list_is_complete_and_says_units() -> None:
    assert [s.name for s in SETTINGS] == [f.name for f in dataclasses.fields(Settings)]
    assert all(s.meaning for s in SETTINGS)
    assert {s.name: s.unit for s in SETTINGS}["upload_max_mib"] == "MiB"
