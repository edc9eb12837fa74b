"""Certificates: a site that nobody vouches for is refused with what to do; a company's own CA is believed."""

from __future__ import annotations

import ssl
import subprocess
from pathlib import Path
from shutil import which

import pytest
from loopback import Server, serve

from mambaops.core.errors import MambaopsError
from mambaops.download.fetch import fetch
from mambaops.download.http import Patience

QUICK = Patience(attempts=2, first_wait=0.01, connect=3.0, read=3.0)


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("MAMBAOPS_CACHE", str(tmp_path / "cache"))
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def authority(tmp_path) -> Path:
    """A company's CA, and a certificate for 127.0.0.1 signed by it; returns their folder."""
    if which("openssl") is None:
        pytest.skip("openssl is not installed")
    folder = tmp_path / "ca"
    folder.mkdir()
    (folder / "san").write_text("subjectAltName=IP:127.0.0.1\n")
    for words in (
        "req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.pem -days 2 -subj /CN=Company "
        "-addext basicConstraints=critical,CA:TRUE -addext keyUsage=keyCertSign",
        "req -newkey rsa:2048 -nodes -keyout site.key -out site.csr -subj /CN=site",
        "x509 -req -in site.csr -CA ca.pem -CAkey ca.key -CAcreateserial -out site.pem -days 2 -extfile san",
    ):
        subprocess.run(["openssl", *words.split()], cwd=folder, check=True, capture_output=True)
    return folder


def secured(server: Server, folder: Path) -> str:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "site.pem", folder / "site.key")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    return server.url().replace("http://", "https://")


def test_an_unknown_authority_is_refused_with_what_to_do(authority, make_wheel, tmp_path):
    with serve(make_wheel().read_bytes()) as server:
        url = secured(server, authority)
        with pytest.raises(MambaopsError, match="is not trusted") as caught:
            fetch(url, tmp_path / "out", patience=QUICK)
    assert "REQUESTS_CA_BUNDLE" in caught.value.hint


@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"])
def test_a_company_s_authority_is_believed(variable, authority, make_wheel, tmp_path, monkeypatch):
    monkeypatch.setenv(variable, str(authority / "ca.pem"))
    data = make_wheel().read_bytes()
    with serve(data) as server:
        fetched = fetch(secured(server, authority), tmp_path / "out", patience=QUICK)
    assert fetched.path.read_bytes() == data
